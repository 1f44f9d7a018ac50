#pragma once
// The runtime's own lock: a few spins, then a futex. For plain threads and for Ms in the runtime.
//
// States of the word: 0 free, 1 held, 2 held and somebody may sleep.
// Invariants
//   held by T              =>  T is in the runtime or is no M at all, and parks no goroutine before unlock
//   some thread sleeps     =>  the word is 2, or its unlocker is about to wake one
// Ordering: unlock's release exchange is read by lock's acquire exchange.

#include <atomic>
#include <cstdint>

#include "base/sync_policy.h"
#include "platform/futex.h"

namespace runnel::platform {

class lock {
 public:
  constexpr lock() = default;
  lock(const lock&) = delete;
  lock& operator=(const lock&) = delete;

  void acquire() noexcept {
    std::uint32_t free = 0;
    if (!word_.compare_exchange_strong(free, 1, std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
      acquire_slow();
    }
  }
  bool try_acquire() noexcept {
    std::uint32_t free = 0;
    return word_.compare_exchange_strong(free, 1, std::memory_order_acquire,
                                         std::memory_order_relaxed);
  }
  void release() noexcept {
    if (word_.exchange(0, std::memory_order_release) == 2) futex_wake(word_);
  }

 private:
  void acquire_slow() noexcept;

  std::atomic<std::uint32_t> word_{0};
};

class lock_guard {
 public:
  explicit lock_guard(lock& l) noexcept : lock_(l) { lock_.acquire(); }
  ~lock_guard() { lock_.release(); }
  lock_guard(const lock_guard&) = delete;
  lock_guard& operator=(const lock_guard&) = delete;

 private:
  lock& lock_;
};

}  // namespace runnel::platform
