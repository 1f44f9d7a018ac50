// The scheduling loop: what an M does between goroutines.
//
// Order of the search: at every 61st decision the global queue; runnext; the ring; the global queue; timers;
// other Ps' rings (half), their due timers, their runnext if it has lain there; then idle.

#include "base/check.h"
#include "sched/goroutine.h"
#include "sched/idle.h"
#include "sched/locked.h"
#include "sched/switch.h"
#include "sched/world.h"

namespace runnel::sched {
namespace {

runnable* take_global(m& self, std::int64_t most) noexcept {
  runtime& r = rt();
  if (r.global_size.load(std::memory_order_relaxed) == 0) return nullptr;
  platform::lock_guard hold(r.lock);
  return take_global_locked(*self.processor, most);
}

// Looks for work on other Ps, for a while. What lies in a runnext is about to be run by its P, so a thief
// takes it only when it has seen it there, with the P in the same time slice, for a whole round.
runnable* steal(m& self) noexcept {
  runtime& r = rt();
  constexpr int rounds = 24;
  struct note {
    runnable* next = nullptr;
    std::uint32_t tick = 0;
  };
  constexpr int noted_max = 64;
  note notes[noted_max];
  p& mine = *self.processor;
  for (int round = 0; round < rounds; ++round) {
    int n = r.procs.load(std::memory_order_relaxed);
    if (r.stopping.load(std::memory_order_relaxed)) return nullptr;
    auto start = static_cast<int>(self.rng.below(static_cast<std::uint32_t>(n)));
    for (int i = 0; i < n; ++i) {
      int number = (start + i) % n;
      p* victim = r.all_p[number].load(std::memory_order_acquire);
      if (victim == nullptr || victim == &mine) continue;
      if (runnable* got = mine.queue.steal_from(victim->queue)) return got;
      if (round == 0 || round == rounds - 1) {
        std::int64_t due = victim->timers.next();
        if (due != platform::time_never && fire_timers(self, *victim, platform::nanotime()) != 0) {
          if (runnable* got = pop_local(mine)) return got;
        }
      }
      runnable* next = victim->queue.look_next();
      if (number < noted_max) {
        note& seen = notes[number];
        std::uint32_t tick = victim->tick.load(std::memory_order_relaxed);
        if (next != nullptr && seen.next == next && seen.tick == tick && round >= 2 &&
            victim->queue.steal_next(next)) {
          return next;
        }
        seen = {next, tick};
      } else if (next != nullptr && round == rounds - 1 && victim->queue.steal_next(next)) {
        return next;
      }
    }
    if (r.global_size.load(std::memory_order_relaxed) != 0) {
      if (runnable* got = take_global(self, take_share)) return got;
    }
    // About a microsecond, so that looking does not slow the ones looked at.
    for (int i = 0; i < 24; ++i) base::hardware::pause();
  }
  return nullptr;
}

// Returns something to run; waits for it if need be. Called with a P, returns with one, perhaps another.
runnable* find_runnable(m& self) noexcept {
  runtime& r = rt();
  for (;;) {
    if (r.stopping.load(std::memory_order_acquire)) {
      give_up_for_stop(self);
      wait_for_work(self);
      continue;
    }
    p& pp = *self.processor;
    if (pp.timers.next() != platform::time_never) {
      fire_timers(self, pp, platform::nanotime());
    }
    if (pp.tick.load(std::memory_order_relaxed) % global_period == 0) {
      if (runnable* got = take_global(self, 1)) {
        count_slice(pp);
        return got;
      }
    }
    if (runnable* got = pop_local(pp)) return got;
    if (runnable* got = take_global(self, take_share)) {
      count_slice(pp);
      return got;
    }
    if (begin_spinning(self)) {
      if (runnable* got = steal(self)) {
        count_slice(*self.processor);
        return got;
      }
    }
    if (runnable* got = go_idle(self)) {
      count_slice(*self.processor);
      return got;
    }
  }
}

}  // namespace

runnable* look_around(m& self, p& pp, std::uint32_t tick) noexcept {
  if (tick % global_period == 0) {
    if (runnable* got = take_global(self, 1)) {
      count_slice(pp);
      return got;
    }
  }
  if (tick % timer_period == 0 && pp.timers.next() != platform::time_never) {
    fire_timers(self, pp, platform::nanotime());
  }
  return nullptr;
}

m* run_fresh(m* self, execution& from, task* next) noexcept {
  g* to = acquire_g(*self, next->stack_size);
  adopt(*to, next);
  to->state.store(g_state::running, std::memory_order_relaxed);
  self->current = to;
  return switch_execution(self, from, to->context);
}

m* run_elsewhere(m* self, execution& from, g* next) noexcept {
  if (next->locked_m == self) {
    next->state.store(g_state::running, std::memory_order_relaxed);
    self->current = next;
    return switch_execution(self, from, next->context);
  }
  // The loop hands it to its own M.
  self->pending = next;
  self->current = nullptr;
  return switch_execution(self, from, self->own);
}

m* suspend(m* self, post_switch post) noexcept {
  g* me = self->current;
  self->post = post;
  runnable* next = me->locked_m == nullptr ? next_fast(*self) : nullptr;
  if (next != nullptr) [[likely]] {
    self = run_next(self, me->context, next);
  } else {
    self->current = nullptr;
    self = switch_execution(self, me->context, self->own);
  }
  run_post(*self);
  return self;
}

m* suspend_to_loop(m* self, post_switch post) noexcept {
  g* me = self->current;
  self->post = post;
  self->current = nullptr;
  self = switch_execution(self, me->context, self->own);
  run_post(*self);
  return self;
}

// The loop of every M, on its thread's own stack. Returns when the thread is to end.
void run_loop(m* self) noexcept {
  for (;;) {
    run_post(*self);
    self->current = nullptr;
    if (self->exit_thread) {
      if (p* pp = self->processor) {
        disown(*self);
        hand_off(*pp);
      }
      return;
    }
    runnable* next = self->pending;
    self->pending = nullptr;
    if (next == nullptr && self->locked_g != nullptr) {
      next = wait_for_locked(*self);
      if (next == nullptr) continue;
    } else if (next == nullptr) {
      if (self->processor == nullptr) wait_for_work(*self);
      next = find_runnable(*self);
    }
    if (self->spinning) end_spinning_with_work(*self);
    if (!next->fresh && static_cast<g*>(next)->locked_m != nullptr &&
        static_cast<g*>(next)->locked_m != self) {
      hand_to_locked(*self, static_cast<g*>(next));
      continue;
    }
    run_next(self, self->own, next);
  }
}

}  // namespace runnel::sched
