#pragma once
// Policies that are model::sync with one thing broken: a model must fail on them, or it proves nothing.

#include <atomic>

#include "model/interleaver.h"

namespace runnel::model {

// model::sync with another atomic: weakened<relaxed_stores>.
template <template <class> class Atomic>
struct weakened : sync {
  template <class T>
  using atomic = Atomic<T>;
};

template <class T>
struct relaxed_stores : atomic<T> {
  using atomic<T>::atomic;
  void store(T value, std::memory_order) noexcept {
    atomic<T>::store(value, std::memory_order_relaxed);
  }
};

template <class T>
struct relaxed_loads : atomic<T> {
  using atomic<T>::atomic;
  T load(std::memory_order) const noexcept { return atomic<T>::load(std::memory_order_relaxed); }
};

template <class T>
struct relaxed_exchange : atomic<T> {
  using atomic<T>::atomic;
  T exchange(T value, std::memory_order) noexcept {
    return atomic<T>::exchange(value, std::memory_order_relaxed);
  }
};

// Reads, and then stores, whatever has happened in between; well ordered all the same.
template <class T>
struct torn_exchange : atomic<T> {
  using atomic<T>::atomic;
  T exchange(T value, std::memory_order) noexcept {
    T seen = this->load(std::memory_order_acquire);
    this->store(value, std::memory_order_seq_cst);
    return seen;
  }
  bool compare_exchange_strong(T& expected, T desired, std::memory_order,
                               std::memory_order) noexcept {
    T seen = this->load(std::memory_order_acquire);
    bool equal = seen == expected;
    if (equal) this->store(desired, std::memory_order_seq_cst);
    expected = seen;
    return equal;
  }
  bool compare_exchange_weak(T& expected, T desired, std::memory_order success,
                             std::memory_order failure) noexcept {
    return compare_exchange_strong(expected, desired, success, failure);
  }
};

struct without_fence : sync {
  static void fence() noexcept {}
};

struct without_heavy_fence : sync {
  static void heavy_fence() noexcept {}
};

struct heavy_fence_for_oneself : sync {
  static void heavy_fence() noexcept { fence(); }
};

}  // namespace runnel::model
