#pragma once
// A run of the runtime: from run() to the return of main.

#include <cstdint>

#include "sched/g.h"

namespace runnel::sched {

// By the main goroutine, in user code, when main has returned: stops everything else for good and wakes the
// thread in run(). Afterwards the caller has no P.
void end_run(g& me) noexcept;

// Goroutines that have been spawned and have not ended, frozen ones not counted.
std::int64_t count_goroutines() noexcept;

// max_procs(): of the current run, or what the next one would begin with.
int current_procs();

}  // namespace runnel::sched
