// runnel::wait_group: one word, and the queue in the object.
//
// The counter is the upper half of the word; below it, `guard`, held for some instructions by whoever works on
// the list, and `waiters`: the list is not empty or about to be filled.
//
// Invariants
//   the word is 0                       =>  nobody waits and nobody touches the object: it may be destroyed
//   the counter became 0 with waiters set  =>  the one who brought it there releases them and then clears the
//                                           bits, its last touch; until then wait() does not return
// Pairing: every change of the counter is acquire-release, and wait() acquires the word (or its waker's hand-over).

#include "runnel/sync/wait_group.h"
#include "base/backoff.h"
#include "platform/clock.h"
#include "runnel/panic.h"
#include "wait/waiter.h"

namespace runnel {

struct wait_group_internals {
  static void release_guard(void* object) noexcept {
    static_cast<wait_group*>(object)->state_.fetch_and(~std::uint64_t{wait_group::guard},
                                                       std::memory_order_release);
  }
  // Takes the guard and sets `extra`, unless the word becomes 0 first. False: it is 0.
  static bool take_guard(wait_group& wg, std::uint64_t extra) noexcept {
    base::backoff backoff;
    std::uint64_t s = wg.state_.load(std::memory_order_acquire);
    for (;;) {
      if (s == 0) return false;
      // Counter 0 and waiters set, without guard: whoever brought it there has yet to come for the guard, and
      // will release us with the others. Waiting for it here would be wrong: it may need our P to come.
      if ((s & wait_group::guard) != 0) {
        backoff.wait();
        s = wg.state_.load(std::memory_order_acquire);
      } else if (wg.state_.compare_exchange_weak(s, s | wait_group::guard | extra,
                                                 std::memory_order_acquire,
                                                 std::memory_order_acquire)) {
        return true;
      }
    }
  }
};

void wait_group::add_slow(std::uint64_t after) {
  if (static_cast<std::int64_t>(after) < 0) throw runtime_error("sync: negative WaitGroup counter");
  // We brought the counter to zero and somebody waits.
  sched::m* self = sched::enter();
  wait_group_internals::take_guard(*this, 0);
  // Claimed under the guard: one whose deadline was faster may go as soon as it gets the guard.
  detail::wait_list claimed;
  while (wait::waiter* w = waiting_.pop_live()) {
    if (wait::claim(*w)) claimed.push_back(*w);
  }
  state_.fetch_and(~std::uint64_t{guard | waiters}, std::memory_order_release);
  while (wait::waiter* w = claimed.pop_live()) wait::wake(self, *w);
  if (self != nullptr) sched::leave(self);
}

void wait_group::wait_slow() {
  sched::m* self = sched::enter();
  if (wait_group_internals::take_guard(*this, waiters)) {
    wait::waiter me(self);
    waiting_.push_back(me);
    self = wait::block(self, me, sched::wait_reason::wait_group_wait,
                       {&wait_group_internals::release_guard, this});
  }
  if (self != nullptr) sched::leave(self);
}

bool wait_group::wait_slow(std::int64_t deadline) {
  sched::m* self = sched::enter();
  bool reached = true;
  if (wait_group_internals::take_guard(*this, waiters)) {
    wait::waiter me(self);
    waiting_.push_back(me);
    self = wait::block_until(self, me, sched::wait_reason::wait_group_wait,
                             {&wait_group_internals::release_guard, this}, deadline);
    reached = me.how.load(std::memory_order_acquire) == wait::outcome::signalled;
    if (!reached && wait_group_internals::take_guard(*this, 0)) {
      if (me.linked()) waiting_.remove(me);
      // With the counter at zero the bit belongs to the one who releases: it needs the object yet.
      std::uint64_t s = state_.load(std::memory_order_relaxed);
      std::uint64_t next;
      do {
        bool clear = waiting_.empty() && s >> counter_shift != 0;
        next = s & ~std::uint64_t{clear ? guard | waiters : guard};
      } while (!state_.compare_exchange_weak(s, next, std::memory_order_release,
                                             std::memory_order_relaxed));
    }
  }
  if (self != nullptr) sched::leave(self);
  return reached;
}

}  // namespace runnel
