#pragma once
// How to wait for a semaphore, for whoever has reasons of his own to give up (a deadline, a context).
//
//   semaphore_internals::request me(self, n);
//   if (!semaphore_internals::take_or_line_up(s, self, me)) {
//     self = <block, with release_guard as what releases the guard>;
//     if (<me.how is not signalled>) semaphore_internals::step_out(s, self, me);
//   }
// Who ends the wait otherwise than by a release must have moved me.how from pending; outcome::signalled is release's.

#include <cstddef>

#include "runnel/sync/semaphore.h"
#include "wait/waiter.h"

namespace runnel {

struct semaphore_internals {
  struct request : wait::waiter {
    request(sched::m* self, std::size_t units) noexcept : waiter(self), n(units) {}
    const std::size_t n;
  };

  static std::size_t capacity(const semaphore& s) noexcept { return s.capacity_; }

  // In the runtime. True: has the units. False: stands in line, and the guard is held. n is at most the capacity.
  static bool take_or_line_up(semaphore& s, sched::m* self, request& r) noexcept;
  static void release_guard(void* s) noexcept;
  // Of one who has given up: out of the line, which may let others through.
  static void step_out(semaphore& s, sched::m* self, request& r) noexcept;

  static void take_guard(semaphore& s) noexcept;
  // With the guard: whether n are free and nobody is before us.
  static bool may_take(const semaphore& s, std::size_t n) noexcept;
  static void add_units(semaphore& s, std::size_t n, bool take) noexcept;
  // With the guard: gives those at the head their units, as far as these go. Who is returned is to be woken
  // once the guard is released.
  static detail::wait_list serve(semaphore& s) noexcept;
  static void wake(sched::m* self, detail::wait_list served) noexcept;
};

}  // namespace runnel
