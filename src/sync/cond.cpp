// runnel::cond: the line of those who wait.
//
// One lines up first and unlocks then, so nobody is missed who had the lock before the notifier took it. But a
// user's lock may itself wait for something, or be anything: so one stands in line before one is parked.
//
//   state of a place in the line
//     in_line   its owner still runs
//     parking   its owner is being parked: for some instructions
//     parked    its owner sleeps: to be woken
//     notified  its owner still ran, and shall not park
//
// Invariants
//   guard                    protects the list and, while it is in there, nothing of the waiter but its links
//   taken out by a notifier  =>  the notifier moves it in_line -> notified, its last touch of it, or wakes it
//   the last touch of the queue by who waits is when it parks, or its exchange in its own place: the queue may be gone
//                                once everybody has been notified
// Pairing: the notifier's exchange (release) or wake-up, with the waiter's exchange (acquire) or its return from block.

#include "runnel/sync/cond.h"

#include "base/backoff.h"
#include "wait/waiter.h"

namespace runnel::detail {

namespace {

enum class place_state : std::uint32_t { in_line, parking, parked, notified };

struct place : wait::waiter {
  using waiter::waiter;
  std::atomic<place_state> state{place_state::in_line};
};

void say_parked(void* object) noexcept {
  static_cast<place*>(object)->state.store(place_state::parked, std::memory_order_release);
}

void notify_place(sched::m* self, place& one) noexcept {
  base::backoff backoff;
  place_state s = one.state.load(std::memory_order_acquire);
  for (;;) {
    if (s == place_state::parked) {
      wait::wake(self, one);
      return;
    }
    if (s == place_state::parking) {
      backoff.wait();
      s = one.state.load(std::memory_order_acquire);
    } else if (one.state.compare_exchange_weak(s, place_state::notified, std::memory_order_acq_rel,
                                               std::memory_order_acquire)) {
      return;
    }
  }
}

}  // namespace

struct cond_internals {
  static void take_guard(cond_queue& q, std::uint32_t more) noexcept {
    base::backoff backoff;
    std::uint32_t s = q.state_.load(std::memory_order_relaxed);
    for (;;) {
      if ((s & cond_queue::guard) != 0) {
        backoff.wait();
        s = q.state_.load(std::memory_order_relaxed);
      } else if (q.state_.compare_exchange_weak(s, s | cond_queue::guard | more,
                                                std::memory_order_seq_cst,
                                                std::memory_order_relaxed)) {
        return;
      }
    }
  }
  static void release_guard(cond_queue& q) noexcept {
    q.state_.store(q.waiting_.empty() ? 0U : std::uint32_t{cond_queue::waiters},
                   std::memory_order_release);
  }
};

void cond_queue::wait(void (*unlock)(void* lock), void* lock) {
  sched::m* self = sched::enter();
  place me(self);
  cond_internals::take_guard(*this, waiters);
  waiting_.push_back(me);
  cond_internals::release_guard(*this);
  if (self != nullptr) sched::leave(self);

  try {
    unlock(lock);
  } catch (...) {
    self = sched::enter();
    cond_internals::take_guard(*this, 0);
    bool waited = me.linked();
    if (waited) waiting_.remove(me);
    cond_internals::release_guard(*this);
    if (!waited) {
      // Chosen already: the notification is another's to have.
      base::backoff backoff;
      while (me.state.load(std::memory_order_acquire) != place_state::notified) backoff.wait();
    }
    if (self != nullptr) sched::leave(self);
    if (!waited) notify_one();
    throw;
  }

  self = sched::enter();
  place_state s = place_state::in_line;
  if (me.state.compare_exchange_strong(s, place_state::parking, std::memory_order_acquire)) {
    self = wait::block(self, me, sched::wait_reason::cond_wait, {&say_parked, &me});
  }
  if (self != nullptr) sched::leave(self);
}

void cond_queue::notify(bool all) noexcept {
  sched::m* self = sched::enter();
  cond_internals::take_guard(*this, 0);
  wait_list chosen;
  while (wait::waiter* w = waiting_.pop_live()) {
    chosen.push_back(*w);
    if (!all) break;
  }
  cond_internals::release_guard(*this);
  while (wait::waiter* w = chosen.pop_live()) notify_place(self, static_cast<place&>(*w));
  if (self != nullptr) sched::leave(self);
}

}  // namespace runnel::detail
