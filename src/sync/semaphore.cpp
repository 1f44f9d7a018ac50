// runnel::semaphore: one word, and the line in the object.
//
// The upper bits of the word are the free units; below, `guard`, held for some instructions by whoever works on
// the line, and `waiters`: the line is not empty.
//
// Invariants
//   guard or waiters        =>  only the holder of guard changes the word
//   guard clear, waiters    =>  the head of the line wants more than is free, or is frozen
//   a waiter was signalled  =>  its units are taken, in its name; claimed under the guard, so that one whose deadline
//                               was faster may go as soon as it gets the guard
// The last touch by release() is its change of the word (then it wakes those who wait, who are not the object).
// Pairing: the release of the word by release(), with the acquire of it by the taker, or the waker's hand-over.

#include "runnel/sync/semaphore.h"

#include "base/backoff.h"
#include "runnel/panic.h"
#include "sync/semaphore_internals.h"
#include "wait/waiter.h"

namespace runnel {

void semaphore_internals::take_guard(semaphore& s) noexcept {
  base::backoff backoff;
  std::uint64_t seen = s.state_.load(std::memory_order_relaxed);
  for (;;) {
    if ((seen & semaphore::guard) != 0) {
      backoff.wait();
      seen = s.state_.load(std::memory_order_relaxed);
    } else if (s.state_.compare_exchange_weak(seen, seen | semaphore::guard,
                                              std::memory_order_acquire,
                                              std::memory_order_relaxed)) {
      return;
    }
  }
}

void semaphore_internals::release_guard(void* object) noexcept {
  auto& s = *static_cast<semaphore*>(object);
  std::uint64_t now = s.state_.load(std::memory_order_relaxed);
  now &= ~std::uint64_t{semaphore::guard | semaphore::waiters};
  if (!s.waiting_.empty()) now |= semaphore::waiters;
  s.state_.store(now, std::memory_order_release);
}

bool semaphore_internals::may_take(const semaphore& s, std::size_t n) noexcept {
  return s.waiting_.empty() &&
         n <= s.state_.load(std::memory_order_relaxed) >> semaphore::units_shift;
}

void semaphore_internals::add_units(semaphore& s, std::size_t n, bool take) noexcept {
  std::uint64_t now = s.state_.load(std::memory_order_relaxed);
  std::uint64_t change = std::uint64_t{n} << semaphore::units_shift;
  s.state_.store(take ? now - change : now + change, std::memory_order_relaxed);
}

detail::wait_list semaphore_internals::serve(semaphore& s) noexcept {
  detail::wait_list served;
  while (wait::waiter* head = s.waiting_.pop_live()) {
    std::size_t n = static_cast<request*>(head)->n;
    if (n > s.state_.load(std::memory_order_relaxed) >> semaphore::units_shift) {
      s.waiting_.push_front(*head);
      break;
    }
    if (!wait::claim(*head)) continue;
    add_units(s, n, true);
    served.push_back(*head);
  }
  return served;
}

void semaphore_internals::wake(sched::m* self, detail::wait_list served) noexcept {
  while (wait::waiter* w = served.pop_live()) wait::wake(self, *w);
}

bool semaphore_internals::take_or_line_up(semaphore& s, sched::m* self, request& r) noexcept {
  take_guard(s);
  // The head may be frozen.
  detail::wait_list served = serve(s);
  bool taken = may_take(s, r.n);
  if (taken) {
    add_units(s, r.n, true);
  } else {
    s.waiting_.push_back(r);
  }
  // With the guard still held if we stay: those served are not in the object any more.
  if (taken) release_guard(&s);
  wake(self, served);
  return taken;
}

void semaphore_internals::step_out(semaphore& s, sched::m* self, request& r) noexcept {
  take_guard(s);
  if (r.linked()) s.waiting_.remove(r);
  detail::wait_list served = serve(s);
  release_guard(&s);
  wake(self, served);
}

using internals = semaphore_internals;

void semaphore::acquire_slow(std::size_t n) {
  if (n > capacity_) throw runtime_error("semaphore: acquire of more than its capacity");
  sched::m* self = sched::enter();
  internals::request me(self, n);
  if (!internals::take_or_line_up(*this, self, me)) {
    self = wait::block(self, me, sched::wait_reason::semaphore_acquire,
                       {&internals::release_guard, this});
  }
  if (self != nullptr) sched::leave(self);
}

bool semaphore::acquire_until(std::int64_t deadline, std::size_t n) {
  if (n > capacity_) {
    wait::sleep_until(deadline);
    return false;
  }
  sched::m* self = sched::enter();
  internals::request me(self, n);
  bool taken = internals::take_or_line_up(*this, self, me);
  if (!taken) {
    self = wait::block_until(self, me, sched::wait_reason::semaphore_acquire,
                             {&internals::release_guard, this}, deadline);
    taken = me.how.load(std::memory_order_acquire) == wait::outcome::signalled;
    if (!taken) internals::step_out(*this, self, me);
  }
  if (self != nullptr) sched::leave(self);
  return taken;
}

bool semaphore::try_acquire_slow(std::size_t n) {
  // Without the guard: who is refused by plain numbers shall not disturb others.
  std::uint64_t s = state_.load(std::memory_order_relaxed);
  if (n > s >> units_shift) return false;
  sched::m* self = sched::enter();
  internals::take_guard(*this);
  detail::wait_list served = internals::serve(*this);
  bool taken = internals::may_take(*this, n);
  if (taken) internals::add_units(*this, n, true);
  internals::release_guard(this);
  internals::wake(self, served);
  if (self != nullptr) sched::leave(self);
  return taken;
}

void semaphore::release_slow(std::size_t n) {
  sched::m* self = sched::enter();
  internals::take_guard(*this);
  std::uint64_t free = state_.load(std::memory_order_relaxed) >> units_shift;
  bool held = n <= capacity_ - free;
  detail::wait_list served;
  if (held) {
    internals::add_units(*this, n, false);
    served = internals::serve(*this);
  }
  internals::release_guard(this);
  internals::wake(self, served);
  if (self != nullptr) sched::leave(self);
  if (!held) throw runtime_error("semaphore: released more than held");
}

}  // namespace runnel
