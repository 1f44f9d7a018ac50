// The scheduling loop: what an M does between goroutines.
//
// Order of the search: at every 61st decision the global queue; runnext; the ring; the global queue; timers;
// other Ps' rings (half), their due timers, their runnext if it has lain there; then idle.

#include "base/check.h"
#include "sched/goroutine.h"
#include "sched/idle.h"
#include "sched/locked.h"
#include "sched/mail.h"
#include "sched/network.h"
#include "sched/switch.h"
#include "sched/timer_callback.h"
#include "sched/world.h"

namespace runnel::sched {
namespace {

runnable* take_global(m& self, std::int64_t most) noexcept {
  runtime& r = rt();
  if (r.global_size.load(std::memory_order_relaxed) == 0) return nullptr;
  platform::lock_guard hold(r.lock);
  return take_global_locked(*self.processor, most);
}

// What a thief saw of a victim when it last looked.
struct glimpse {
  runnable* next = nullptr;
  std::uint32_t head = 0;
  std::uint32_t tick = 0;
  std::uint32_t turns = 0;
  bool valid = false;
  int still = 0;  // looks in a row at which it was the same

  bool same_as(const glimpse& o) const noexcept {
    return valid && o.valid && next == o.next && head == o.head && tick == o.tick &&
           turns == o.turns;
  }
};

// A victim that is working off its queue by itself is left alone, unless the queue is long: to move a few short
// goroutines to another CPU's caches takes longer than to run them. One that stood still between two
// glimpses is busy with something else, and what waits there, runnext included, is better run here. One to whom others
// have come because they hindered each other (mail.h) has to stand still for longer.
runnable* rob(p& mine, p& victim, glimpse& seen) noexcept {
  constexpr std::uint32_t long_queue = 64;
  glimpse now{victim.queue.look_next(), victim.queue.head(),
              victim.tick.load(std::memory_order_relaxed),
              victim.turns.load(std::memory_order_relaxed), true};
  now.still = now.same_as(seen) ? seen.still + 1 : 0;
  seen = now;
  constexpr int long_still = 20;
  bool standing = now.still != 0;
  if (standing && now.still < long_still &&
      victim.gathered_until.load(std::memory_order_relaxed) != 0) {
    standing = platform::nanotime() >= victim.gathered_until.load(std::memory_order_relaxed);
  }
  if (standing || victim.queue.size() >= long_queue) {
    if (runnable* got = mine.queue.steal_from(victim.queue)) return got;
  }
  if (standing && now.next != nullptr && victim.queue.steal_next(now.next)) return now.next;
  if (standing && victim.mail_size.load(std::memory_order_relaxed) != 0) return steal_mail(victim);
  return nullptr;
}

// Looks for work everywhere, for some twenty microseconds.
runnable* steal(m& self) noexcept {
  runtime& r = rt();
  constexpr int rounds = 24;
  constexpr int glimpses = 64;
  glimpse seen[glimpses];  // beyond so many Ps, numbers share one: a wrong glimpse differs
  p& mine = *self.processor;
  for (int round = 0; round < rounds; ++round) {
    if (r.stopping.load(std::memory_order_relaxed)) return nullptr;
    int n = r.procs.load(std::memory_order_relaxed);
    auto start = static_cast<int>(self.rng.below(static_cast<std::uint32_t>(n)));
    for (int i = 0; i < n; ++i) {
      int number = (start + i) % n;
      p* victim = r.all_p[number].load(std::memory_order_acquire);
      if (victim == nullptr || victim == &mine) continue;
      if (runnable* got = rob(mine, *victim, seen[number % glimpses])) return got;
      bool look_at_timers = round == 0 || round == rounds - 1;
      if (look_at_timers && victim->timers.next() != platform::time_never &&
          fire_timers(self, *victim, platform::nanotime()) != 0) {
        run_due_callbacks(self);
        return pop_local(mine);
      }
    }
    if (runnable* got = take_global(self, take_share)) return got;
    // Half a microsecond or so: looking slows those who are looked at.
    for (int i = 0; i < 24; ++i) base::hardware::pause();
  }
  return nullptr;
}

// One success does not mean much: the kernel may have taken the victim off its CPU just then.
void count_visit(bool vain) noexcept {
  std::atomic<std::uint32_t>& visits = rt().vain_visits;
  std::uint32_t before = visits.load(std::memory_order_relaxed);
  if (vain ? before < vain_visits_max : before != 0) {
    visits.store(vain ? before + 1 : before / 2, std::memory_order_relaxed);
  }
}

// Returns something to run; waits for it if need be. Called with a P, returns with one, perhaps another.
runnable* find_runnable(m& self) noexcept {
  runtime& r = rt();
  for (;;) {
    if (self.processor->due != nullptr) run_due_callbacks(self);
    if (r.stopping.load(std::memory_order_acquire)) {
      give_up_for_stop(self);
      wait_for_work(self);
      continue;
    }
    p& pp = *self.processor;
    if (pp.poll_due) {
      pp.poll_due = false;
      poll_network(self);
    }
    if (pp.timers.next() != platform::time_never) {
      fire_timers(self, pp, platform::nanotime());
      if (pp.due != nullptr) run_due_callbacks(self);
    }
    pp.handed_on = false;
    if (pp.tick.load(std::memory_order_relaxed) % global_period == 0) {
      if (runnable* got = take_global(self, global_turn)) {
        count_slice(pp);
        return got;
      }
    }
    if (runnable* got = pop_local(pp)) return got;
    if (pp.mail_size.load(std::memory_order_relaxed) != 0) {
      if (runnable* got = take_mail(pp)) {
        count_slice(pp);
        return got;
      }
    }
    if (runnable* got = take_global(self, take_share)) {
      count_slice(pp);
      return got;
    }
    if (poll_network(self) != 0) {
      count_slice(pp);
      if (runnable* got = pop_local(pp)) return got;
    }
    if (begin_spinning(self)) {
      runnable* got = steal(self);
      count_visit(got == nullptr);
      if (got != nullptr) {
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
    if (runnable* got = take_global(self, global_turn)) {
      count_slice(pp);
      return got;
    }
    pp.poll_due = rt().awaits_io();
  }
  if (tick % timer_period == 0 && pp.timers.next() != platform::time_never) {
    fire_timers(self, pp, platform::nanotime());
  }
  if (pp.due == nullptr && pp.mail_size.load(std::memory_order_relaxed) != 0) {
    if (runnable* got = take_mail(pp)) {
      count_slice(pp);
      return got;
    }
  }
  return nullptr;
}

m* run_fresh(m* self, execution& from, task* next) noexcept {
  g* to = acquire_g(*self, next->stack_size);
  adopt(*to, next);
  to->state.store(g_state::running, std::memory_order_relaxed);
  self->runs(to);
  return switch_execution(self, from, to->context);
}

m* run_elsewhere(m* self, execution& from, g* next) noexcept {
  if (next->locked_m == self) {
    next->state.store(g_state::running, std::memory_order_relaxed);
    self->runs(next);
    return switch_execution(self, from, next->context);
  }
  // The loop hands it to its own M.
  self->pending = next;
  self->run_nothing();
  return switch_execution(self, from, self->own);
}

m* suspend(m* self, post_switch post) noexcept {
  g* me = self->current;
  self->post = post;
  runnable* next = me->locked_m == nullptr ? next_fast(*self) : nullptr;
  if (next != nullptr) [[likely]] {
    self = run_next(self, me->context, next);
  } else {
    self->run_nothing();
    self = switch_execution(self, me->context, self->own);
  }
  run_post(*self);
  return self;
}

m* suspend_to_loop(m* self, post_switch post) noexcept {
  g* me = self->current;
  self->post = post;
  self->run_nothing();
  self = switch_execution(self, me->context, self->own);
  run_post(*self);
  return self;
}

// The loop of every M, on its thread's own stack. Returns when the thread is to end.
void run_loop(m* self) noexcept {
  for (;;) {
    run_post(*self);
    self->run_nothing();
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
