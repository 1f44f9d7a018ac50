#pragma once

#include <atomic>
#include <cstdint>

#include "runnel/detail/wait_list.h"

namespace runnel {

// A mutual exclusion lock (sync.Mutex). Any thread; parks goroutines, blocks plain threads. Works with
// std::lock_guard, std::unique_lock and std::scoped_lock. Not recursive; may be unlocked by another goroutine
// than the one that locked it.
//
//   state      lock()                         try_lock()   unlock()
//   unlocked   locks                          true         fatal: "sync: unlock of unlocked mutex"
//   locked     waits until it is unlocked     false        unlocks; wakes a waiter
//
// Fairness is Go's: a woken waiter competes with newcomers, but once one has waited for a millisecond the lock is
// handed from owner to waiter, first come first served, until nobody has waited that long.
// The n-th unlock() happens before the m-th lock() returns, for n < m. It may be destroyed as soon as it is
// unlocked and nobody waits, even while the unlock() that made it so has not returned.
class mutex {
 public:
  constexpr mutex() = default;
  mutex(const mutex&) = delete;
  mutex& operator=(const mutex&) = delete;

  void lock() {
    if (!try_lock()) [[unlikely]]
      lock_slow();
  }
  bool try_lock() {
    std::uint32_t s = state_.load(std::memory_order_relaxed);
    return (s & (locked | starving)) == 0 &&
           state_.compare_exchange_strong(s, s | locked, std::memory_order_acquire,
                                          std::memory_order_relaxed);
  }
  void unlock() {
    std::uint32_t s = state_.load(std::memory_order_relaxed);
    if ((s & (locked | waiters)) != locked ||
        !state_.compare_exchange_strong(s, s & ~std::uint32_t{locked}, std::memory_order_release,
                                        std::memory_order_relaxed)) [[unlikely]] {
      unlock_slow();
    }
  }

 private:
  friend struct mutex_internals;

  // guard protects the list of waiters; the rest is explained in sync/mutex.cpp.
  enum bits : std::uint32_t { locked = 1, guard = 2, woken = 4, starving = 8, waiters = 16 };

  void lock_slow();
  void unlock_slow();

  std::atomic<std::uint32_t> state_{0};
  std::atomic<std::uint32_t> woken_in_{0};  // the run in which the woken bit was set
  detail::wait_list waiting_;
};

}  // namespace runnel
