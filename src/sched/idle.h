#pragma once
// Idle Ps and Ms: who sleeps, who looks for work, who watches the timers.
//
// A P without work goes to the idle list and its M spins, which means: looks everywhere for some
// microseconds; at most half as many Ms spin as Ps are busy. Then the M sleeps on its futex. One idle M, the sleeper,
// sleeps no longer than until the next timer of any P.
//
// No lost work: whoever publishes work makes a full fence and then reads idle_p_count and spinning. An M
// that goes idle first adds its P to the list, then stops spinning (a read-modify-write), then looks at every
// queue once more. Either the publisher sees an idle P and nobody spinning, and wakes one, or the M sees the
// work. tests/model has the proof by exhaustion.

#include "sched/m.h"
#include "sched/p.h"
#include "sched/runtime.h"

namespace runnel::sched {

// The counters of that argument, apart from the lists, so that a model can run them.
template <class Sync>
struct idle_counts {
  typename Sync::template atomic<int>& idle;
  typename Sync::template atomic<int>& spinning;

  // By a publisher, after its work is in a queue: must it wake somebody?
  bool nobody_will_come() noexcept {
    Sync::fence();
    return idle.load(std::memory_order_relaxed) != 0 &&
           spinning.load(std::memory_order_relaxed) == 0;
  }
  // One waker at a time: true, and the caller counts as spinning until its thread takes over the count.
  bool claim_wake() noexcept {
    int none = 0;
    return spinning.load(std::memory_order_relaxed) == 0 &&
           spinning.compare_exchange_strong(none, 1, std::memory_order_acq_rel);
  }
  void begin_spinning() noexcept { spinning.fetch_add(1, std::memory_order_acq_rel); }
  // True: it was the last one.
  bool end_spinning() noexcept { return spinning.fetch_sub(1, std::memory_order_seq_cst) == 1; }
};

bool begin_spinning(m& self) noexcept;
void end_spinning_with_work(m& self) noexcept;

// The search was in vain: releases the P. Returns work if some came in the last moment (then self has a P
// again); otherwise waits, and returns nullptr with a P: search anew.
runnable* go_idle(m& self) noexcept;

// Sleeps until somebody hands a P over, or a timer is due and a P idle. Called without a P.
void wait_for_work(m& self) noexcept;

// Runs `pp`, which belongs to nobody, on an idle M or a new one.
void start_m(p& pp, bool spinning) noexcept;

// `pp` has lost its M: to another M if it has work, else to the idle list.
void hand_off(p& pp) noexcept;

// Under the runtime's lock.
p* take_idle_p_locked() noexcept;
void add_idle_p_locked(p& pp) noexcept;

// A timer at `when` was added: sees to it that somebody wakes for it.
void watch_timer(std::int64_t when) noexcept;

void own(m& self, p& pp) noexcept;
void disown(m& self) noexcept;

}  // namespace runnel::sched
