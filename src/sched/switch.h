#pragma once
// Switching, and entering and leaving the runtime: the hot path of everything.
//
// After any function here that returns an M, the caller may be on another thread: use that M, forget the
// old one. Nothing in this file may be called with a runtime lock held.

#include <algorithm>

#include "platform/context.h"
#include "platform/tls.h"
#include "sched/g.h"
#include "sched/m.h"
#include "sched/runtime.h"

namespace runnel::sched {

// The calling thread's M, nullptr on a plain thread.
inline m* current_m() noexcept { return static_cast<m*>(platform::tls_m()); }

// What to do when the P is claimed or gone, or a yield is due. Returns with a P, perhaps on another M.
m* enter_slow(m* self) noexcept;

// From user code into the runtime: afterwards the P is ours. nullptr: a plain thread.
inline m* enter() noexcept {
  m* self = current_m();
  if (self == nullptr) return nullptr;
  if (!self->shake.enter()) [[unlikely]]
    self = enter_slow(self);
  return self;
}

inline void leave(m* self) noexcept {
  if (self->pinned == 0) [[likely]]
    self->shake.leave();
}

// While the runtime calls user code with a lock of its own held, as to move an element of a channel: what that
// code calls of the runtime stays inside the zone, and to wait there is fatal.
class pin {
 public:
  explicit pin(m* self) noexcept : self_(self) {
    if (self_ != nullptr) ++self_->pinned;
  }
  ~pin() {
    if (self_ != nullptr) --self_->pinned;
  }
  pin(const pin&) = delete;
  pin& operator=(const pin&) = delete;

 private:
  m* self_;
};
[[noreturn]] void refuse_to_wait() noexcept;

// Suspends `from`, which runs on `self`, and continues `to`. Returns when `from` is continued, with the M
// that does so. The caller must then run_post().
inline m* switch_execution(m* self, execution& from, execution& to) noexcept {
  platform::exception_state& live = *self->exceptions;
  from.exceptions = live;
  live = to.exceptions;
  from.fpu.save();
  if (!from.fpu.same_as(to.fpu)) [[unlikely]]
    to.fpu.load();
  from.sanitizer.before_switch(to.sanitizer);
  self = static_cast<m*>(platform::switch_context(from.sp, to.sp, self));
  from.sanitizer.after_switch();
  return self;
}

inline void run_post(m& self) noexcept {
  if (auto action = self.post.action) {
    self.post.action = nullptr;
    action(self, self.post.left, self.post.argument);
  }
}

// --- queues (queue.cpp) ---

// Puts `r` on the P of `self`; `next`: in front.
void put_when_full(m& self, runnable* r) noexcept;
inline void put_local(m& self, runnable* r, bool next) noexcept {
  p& pp = *self.processor;
  if (next) {
    r = pp.queue.replace_next(r);
    if (r == nullptr) return;
  }
  if (!pp.queue.push(r)) [[unlikely]]
    put_when_full(self, r);
}
// Behind everything; from anywhere.
void put_global(runnable* r) noexcept;
// A new goroutine from outside: counted there too.
void put_global_new(task* r) noexcept;
inline constexpr std::int64_t take_share = 1 << 20;  // as much as is fair
runnable* take_global_locked(p& to, std::int64_t most) noexcept;
inline std::uint32_t current_epoch() noexcept { return rt().epoch.load(std::memory_order_relaxed); }
inline bool is_frozen(const g& one) noexcept { return one.epoch != current_epoch(); }

// Only exec and _exit may follow a fork in the child.
[[noreturn]] void refuse_after_fork() noexcept;
inline void check_not_forked() noexcept {
  if (rt().forked.load(std::memory_order_relaxed)) [[unlikely]]
    refuse_after_fork();
}

// --- deciding what runs (schedule.cpp) ---

inline void count_slice(p& pp) noexcept {
  pp.tick.store(pp.tick.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

inline constexpr std::uint32_t prefetch_distance = 4;

// From runnext or the ring.
inline runnable* pop_local(p& pp) noexcept {
  // What was put in front inherits the time slice: two goroutines that wake each other in turn look to
  // sysmon like one that runs for long, and do not starve the ring.
  // With a single P there are no thieves: the number of Ps changes only while the world is stopped, and no owner
  // is in here then.
  bool alone = rt().procs.load(std::memory_order_relaxed) == 1;
  if (runnable* next = alone ? pp.queue.pop_next_alone() : pp.queue.pop_next()) {
    pp.turns.store(pp.turns.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    return next;
  }
  runnable* r = alone ? pp.queue.pop_alone() : pp.queue.pop();
  if (r != nullptr) {
    count_slice(pp);
    // A task and its closure take two lines; both may be cold.
    if (const runnable* later = pp.queue.peek(prefetch_distance)) {
      __builtin_prefetch(later, 1);
      __builtin_prefetch(reinterpret_cast<const char*>(later) + 64, 1);
    }
  }
  return r;
}

// At these ticks, something else is looked at first: the global queue every 61st time (Go's number: prime, so
// that it beats with no program's pattern), timers every 8th.
// A few at a time: with one only, what waits in a long global queue would starve behind a ring that never empties.
inline constexpr std::uint32_t global_period = 61;
inline constexpr std::int64_t global_turn = 4;
inline constexpr std::uint32_t timer_period = 8;
runnable* look_around(m& self, p& pp, std::uint32_t tick) noexcept;

// The next item without searching: runnext, the ring, at times the global queue or due timers. nullptr: the
// scheduling loop must search.
inline runnable* next_fast(m& self) noexcept {
  if (rt().stopping.load(std::memory_order_relaxed)) [[unlikely]]
    return nullptr;
  p& pp = *self.processor;
  std::uint32_t tick = pp.tick.load(std::memory_order_relaxed);
  if (tick % timer_period == 0 || tick % global_period == 0) [[unlikely]] {
    if (runnable* r = look_around(self, pp, tick)) return r;
    if (pp.due != nullptr || pp.poll_due) return nullptr;
  }
  return pop_local(pp);
}

// Starts `next` on `self` in place of `from`; returns as switch_execution does.
m* run_fresh(m* self, execution& from, task* next) noexcept;
m* run_elsewhere(m* self, execution& from, g* next) noexcept;
[[gnu::always_inline]] inline m* run_next(m* self, execution& from, runnable* next) noexcept {
  if (next->fresh) return run_fresh(self, from, static_cast<task*>(next));
  g* to = static_cast<g*>(next);
  if (to->locked_m != nullptr) [[unlikely]]
    return run_elsewhere(self, from, to);
  to->state.store(g_state::running, std::memory_order_relaxed);
  self->runs(to);
  return switch_execution(self, from, to->context);
}

// Suspends the current G, whose state the caller has set, and runs something else. `post` is done when it is
// off its stack. Returns when the G runs again, post actions of others done.
m* suspend(m* self, post_switch post) noexcept;

// Back to the scheduling loop for good or until the G runs again; as suspend, without looking for a next G.
m* suspend_to_loop(m* self, post_switch post) noexcept;

// --- waking (idle.cpp) ---

// After work was published: sees to it that somebody comes if a P is idle and nobody looks.
void wake_spinner() noexcept;
inline void notify_work() noexcept {
  if (rt().gate.nobody_will_come()) wake_spinner();
}

// The same by an M with a P: if there is no other P, nobody can be idle.
inline void notify_work_with_p() noexcept {
  if (rt().procs.load(std::memory_order_relaxed) > 1) notify_work();
}

// The same for a goroutine that was woken and put in front. Mostly the waker parks next, and the
// goroutine runs here; whoever comes to look finds nothing, and has only disturbed. After vain visits, ever more such
// wake-ups are not announced. Should the waker go on for long after all, sysmon sees the queue stand still.
inline constexpr std::uint32_t several_weight = 16;
inline void notify_ready(p& pp) noexcept {
  if (rt().procs.load(std::memory_order_relaxed) == 1) return;
  if (pp.quiet_wakes != 0) {
    // With more than one waiting, a visit is less likely to be in vain.
    std::uint32_t weight = pp.queue.ring_empty() ? 1 : several_weight;
    pp.quiet_wakes -= std::min(pp.quiet_wakes, weight);
    return;
  }
  if (!rt().gate.nobody_will_come()) return;
  pp.quiet_wakes = (1u << rt().vain_visits.load(std::memory_order_relaxed)) - 1;
  wake_spinner();
}

// --- parking (park.cpp) ---

// Parks the current G. `post` publishes it to whoever will wake it, or unlocks what does.
m* park(m* self, wait_reason why, post_switch post) noexcept;

// Makes a parked G runnable. By anybody who is in the runtime (self with a P, or nullptr). Dropped if frozen.
void ready(m* self, g& parked) noexcept;

// Lets others run first, if there are any.
m* yield_now(m* self) noexcept;

// --- Gs (goroutine.cpp) ---

// An idle G for a stack of that many bytes (0: the default). Fatal if there is no memory.
g* acquire_g(m& self, std::size_t stack_size) noexcept;

// --- timers (timers.cpp) ---

// Makes the goroutines of due timers of `from` runnable on the P of `self`. Returns how many.
std::size_t fire_timers(m& self, p& from, std::int64_t now) noexcept;
std::int64_t earliest_timer() noexcept;

}  // namespace runnel::sched
