#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <utility>

#include "runnel/detail/spin_bit.h"

namespace runnel {

// A value that is replaced as a whole while others read it (atomic.Value): a configuration, a routing table. Any
// thread; nobody waits for longer than it takes to exchange two pointers.
//
// What load() and swap() return never changes, and lives as long as somebody has it: replaced values are destroyed
// by whoever gives up the last pointer. Before the first store it is null. What precedes a store happens before a load
// that returns its value; all operations on one atomic_value have one order.
//
// T's constructors and destructor are called without a lock. Throws std::bad_alloc, or what moving a T throws; then
// nothing has changed.
template <class T>
class atomic_value {
 public:
  constexpr atomic_value() = default;
  explicit atomic_value(T initial) : value_(std::make_shared<const T>(std::move(initial))) {}
  atomic_value(const atomic_value&) = delete;
  atomic_value& operator=(const atomic_value&) = delete;

  // nullptr before the first store.
  std::shared_ptr<const T> load() const {
    std::lock_guard hold(lock_);
    return value_;
  }

  void store(T value) { (void)swap(std::move(value)); }

  // Stores, and returns what was there: nullptr before the first store.
  std::shared_ptr<const T> swap(T value) {
    auto next = std::make_shared<const T>(std::move(value));
    {
      std::lock_guard hold(lock_);
      value_.swap(next);
    }
    return next;
  }

  // If the value is the object that `expected` points to (or both are null): stores `desired` and returns true. Otherwise
  // sets `expected` to the value and returns false. Compares identity, not values.
  bool compare_exchange(std::shared_ptr<const T>& expected, T desired) {
    auto next = std::make_shared<const T>(std::move(desired));
    std::shared_ptr<const T> found;
    {
      std::lock_guard hold(lock_);
      if (value_ == expected) {
        value_.swap(next);
        return true;  // `next`, now the old value, is destroyed after the lock is released
      }
      found = value_;
    }
    expected = std::move(found);
    return false;
  }

 private:
  // Not std::atomic<std::shared_ptr>: libstdc++'s keeps its lock in the pointer's low bit, which ThreadSanitizer does
  // not understand, and sleeps on it, which would cost a goroutine's P.
  mutable detail::spin_bit lock_;
  std::shared_ptr<const T> value_;
};

}  // namespace runnel
