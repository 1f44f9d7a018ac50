#pragma once
// Goroutines locked to their thread (lock_os_thread).
//
// Invariants
//   g.locked_m == m  <=>  m.locked_g == g; the G runs on that M only and the M runs nothing else
//   the G is not running  =>  its M sleeps without a P, or is about to
// An M that finds a locked G in a queue hands its P to the G's M and looks for another.

#include "sched/m.h"

namespace runnel::sched {

void lock_thread() noexcept;
void unlock_thread() noexcept;

// By the loop of an M with a locked G: hands its P on and sleeps until the G is to run. Returns the G, or
// nullptr if the run has ended and the G is frozen.
runnable* wait_for_locked(m& self) noexcept;

// By the loop of an M that drew a locked G.
void hand_to_locked(m& self, g* to) noexcept;

}  // namespace runnel::sched
