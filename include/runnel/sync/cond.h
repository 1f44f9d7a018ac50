#pragma once

#include <atomic>
#include <cstdint>

#include "runnel/detail/wait_list.h"

namespace runnel {
namespace detail {

// Those who wait for a condition. Not for programs.
class cond_queue {
 public:
  constexpr cond_queue() = default;
  cond_queue(const cond_queue&) = delete;
  cond_queue& operator=(const cond_queue&) = delete;

  // Lines up, calls unlock(lock), and waits to be notified. What unlock throws leaves wait, after leaving the line.
  void wait(void (*unlock)(void* lock), void* lock);
  void notify_one() noexcept {
    if (state_.load(std::memory_order_seq_cst) != 0) notify(false);
  }
  void notify_all() noexcept {
    if (state_.load(std::memory_order_seq_cst) != 0) notify(true);
  }

 private:
  friend struct cond_internals;

  // Explained in sync/cond.cpp.
  enum bits : std::uint32_t { guard = 1, waiters = 2 };

  void notify(bool all) noexcept;

  std::atomic<std::uint32_t> state_{0};
  wait_list waiting_;
};

}  // namespace detail

// A condition variable tied to a lock (sync.Cond): runnel::mutex, shared_mutex, or anything with lock() and
// unlock(). Any thread.
//
//   runnel::mutex mu;
//   runnel::cond not_empty(mu);
//   …
//   std::lock_guard hold(mu);
//   not_empty.wait([&] { return !queue.empty(); });
//
// wait() is called with the lock held, by one who has it; it returns with the lock held, also when it leaves by
// an exception of the predicate. Notifying needs no lock. Unlike std::condition_variable,
// wait() returns only when notified; but the condition may have changed by then, so use a loop or a predicate.
//
// First come, first served: notify_one() wakes the one who has waited longest. A notification is never lost between
// unlocking and waiting: one that comes after wait() has begun, in the order of the lock, wakes it.
// notify_one() and notify_all() happen before the return of a wait() that they wake. It may be destroyed when all
// who wait have been notified, even before they have returned.
template <class Lock>
class cond {
 public:
  explicit constexpr cond(Lock& lock) noexcept : lock_(&lock) {}
  cond(const cond&) = delete;
  cond& operator=(const cond&) = delete;

  void wait() {
    Lock* lock = lock_;  // the object may be gone when we are woken
    queue_.wait([](void* l) { static_cast<Lock*>(l)->unlock(); }, lock);
    lock->lock();
  }
  // Waits until pred() holds; calls it with the lock held, first before waiting.
  template <class Predicate>
  void wait(Predicate pred) {
    while (!pred()) wait();
  }

  // Wakes one, if any waits.
  void notify_one() noexcept { queue_.notify_one(); }
  // Wakes all who wait by now.
  void notify_all() noexcept { queue_.notify_all(); }

 private:
  Lock* lock_;
  detail::cond_queue queue_;
};

}  // namespace runnel
