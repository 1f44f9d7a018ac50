// Parking, waking, yielding; and what happens at the gate of the runtime when a P is claimed.

#include "base/check.h"
#include "sched/idle.h"
#include "sched/switch.h"
#include "sched/sysmon.h"

namespace runnel::sched {
namespace {

// Runnable only now: without a P the world may be stopped meanwhile, and who looks at stacks then must not take this one
// for suspended before it is.
void publish_globally(m&, g* left, void*) {
  left->state.store(g_state::runnable, std::memory_order_release);
  put_global(left);
}

// The goroutine that gave its P up in user code is back (deadlock.h).
void count_back_locked() noexcept {
  int before = rt().at_large.fetch_sub(1, std::memory_order_relaxed);
  base::debug_check(before > 0, "more goroutines came back than went");
}

// Queued and out of the count in one step, unless its run has ended since: then nobody counts it any more.
void publish_from_large(m&, g* left, void*) {
  runtime& r = rt();
  {
    platform::lock_guard hold(r.lock);
    if (is_frozen(*left)) {
      left->state.store(g_state::frozen, std::memory_order_relaxed);
      return;
    }
    left->state.store(g_state::runnable, std::memory_order_release);
    r.global.push_back(left);
    r.global_size.store(r.global.size(), std::memory_order_relaxed);
    count_back_locked();
  }
  notify_work();
}

void publish_locally(m& self, g* left, void*) {
  put_local(self, left, false);
  notify_work_with_p();
}

// The run that this goroutine belonged to is over: it stops here, for ever. Its thread does other things.
[[noreturn]] void abandon(m* self) noexcept {
  g* me = self->current;
  me->state.store(g_state::frozen, std::memory_order_relaxed);
  if (self->locked_g == me) self->locked_g = nullptr;
  suspend_to_loop(self, {});
  __builtin_unreachable();
}

// The P is gone: another one, or a place in the global queue.
m* reacquire(m* self) noexcept {
  runtime& r = rt();
  g* me = self->current;
  self->processor = nullptr;
  me->reason.store(wait_reason::none, std::memory_order_relaxed);  // blocking, if it was that
  bool frozen;
  {
    platform::lock_guard hold(r.lock);
    frozen = is_frozen(*me);
    p* pp = frozen ? nullptr : take_idle_p_locked();
    if (pp != nullptr) {
      own(*self, *pp);
      count_back_locked();
    }
  }
  if (frozen) abandon(self);
  if (self->processor != nullptr) {
    wake_sysmon();
    return self;
  }
  return suspend_to_loop(self, {&publish_from_large, me, nullptr});
}

}  // namespace

void refuse_after_fork() noexcept {
  base::fatal(
      "runnel: a forked child may only call exec or _exit: the runtime's threads are not in it",
      "runtime used after fork");
}

m* enter_slow(m* self) noexcept {
  using bits = handshake<base::hardware>;
  check_not_forked();
  std::uint32_t set = self->shake.settle();
  // Inside already: the claim is withdrawn. To yield can wait.
  if (self->pinned != 0) return self;
  if ((set & bits::taken) != 0) return reacquire(self);
  if ((set & bits::preempt) != 0) {
    self->shake.clear(bits::preempt);
    g* me = self->current;
    return suspend(self, {&publish_globally, me, nullptr});
  }
  return self;
}

void refuse_to_wait() noexcept {
  base::fatal(
      "runnel: a move constructor that a channel calls must not wait: the channel is locked "
      "meanwhile",
      "goroutine waits in the move constructor of a channel's element");
}

m* park(m* self, wait_reason why, post_switch post) noexcept {
  if (self->pinned != 0) [[unlikely]]
    refuse_to_wait();
  g* me = self->current;
  me->reason.store(why, std::memory_order_relaxed);
  check_no_mutex_held(*me, held_when::waits);
  me->waits_since(rt().seconds.load(std::memory_order_relaxed));
  me->state.store(g_state::waiting, std::memory_order_relaxed);
  self = suspend(self, post);
  me->reason.store(wait_reason::none, std::memory_order_relaxed);
  return self;
}

void ready(m* self, g& parked) noexcept {
  if (self != nullptr && self->processor != nullptr) {
    if (is_frozen(parked)) {
      parked.state.store(g_state::frozen, std::memory_order_relaxed);
      return;
    }
    parked.state.store(g_state::runnable, std::memory_order_relaxed);
    put_local(*self, &parked, true);
    notify_ready(*self->processor);
  } else {
    parked.state.store(g_state::runnable, std::memory_order_relaxed);
    put_global(&parked);
  }
}

m* yield_now(m* self) noexcept {
  g* me = self->current;
  if (self->pinned != 0) return self;
  check_no_mutex_held(*me, held_when::yields);
  if (me->locked_m != nullptr) {
    return suspend_to_loop(self, {&publish_globally, me, nullptr});
  }
  runnable* next = next_fast(*self);
  if (next == nullptr) {
    runtime& r = rt();
    p& pp = *self->processor;
    bool others = pp.due != nullptr || pp.poll_due || r.stopping.load(std::memory_order_relaxed) ||
                  r.global_size.load(std::memory_order_relaxed) != 0 ||
                  (pp.timers.next() != platform::time_never &&
                   fire_timers(*self, pp, platform::nanotime()) != 0);
    if (!others) return self;
    return suspend_to_loop(self, {&publish_globally, me, nullptr});
  }
  me->state.store(g_state::runnable, std::memory_order_relaxed);
  self->post = {&publish_locally, me, nullptr};
  self = run_next(self, me->context, next);
  run_post(*self);
  return self;
}

}  // namespace runnel::sched
