#pragma once
// Stopping the world: every P without a runner. And the number of Ps.
//
// Nobody's user code is waited for: an M in user code loses its P by the handshake and finds out when it next
// enters the runtime. Only Ms inside the runtime are waited for, and those leave or schedule within
// microseconds.

#include "sched/m.h"

namespace runnel::sched {

// Stops every P and holds the world until start_the_world. The caller has no P: an M gives its own up first
// (begin_blocking), or two stoppers would wait for one another.
void stop_the_world() noexcept;

// The first P, whether a run has begun or not.
p& first_p() noexcept;

// Sets the number of Ps and lets them run.
void start_the_world(int procs) noexcept;

// Starts it again with the Ps there were; does nothing but release it outside of a run.
void resume_the_world() noexcept;

// For a report after which the program ends: stops what can be stopped in a tenth of a second, without waiting for locks
// that whoever is in trouble may hold. The P of the M in trouble (nullptr: none), which waits for the report, counts
// as stopped.
void stop_for_report(const m* troubled) noexcept;

// By the scheduling loop when it sees `stopping`: gives its P to the stopper.
void give_up_for_stop(m& self) noexcept;

void adjust_procs_to_quota() noexcept;

// max_procs(n); returns the previous value.
int set_procs(int n) noexcept;

}  // namespace runnel::sched
