#pragma once
// Idle Ps and Ms: who sleeps, who looks for work, who watches the timers.
//
// A P without work goes to the idle list and its M spins, which means: looks everywhere for some
// microseconds; at most half as many Ms spin as Ps are busy. Then the M sleeps on its futex. One idle M, the sleeper,
// sleeps no longer than until the next timer of any P.
//
// sched/idle_gate.h has the protocol.

#include "sched/m.h"
#include "sched/p.h"
#include "sched/runtime.h"

namespace runnel::sched {

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

// To an idle M that has been given a P, or shall look around.
void wake(m& idle) noexcept;

// A timer at `when` was added: sees to it that somebody wakes for it.
void watch_timer(std::int64_t when) noexcept;

bool any_queue_has_work() noexcept;

void own(m& self, p& pp) noexcept;
void disown(m& self) noexcept;

}  // namespace runnel::sched
