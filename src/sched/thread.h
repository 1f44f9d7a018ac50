#pragma once
// Starting Ms.

#include "sched/m.h"
#include "sched/p.h"

namespace runnel::sched {

// A new M that runs `pp`, or, with nullptr, goes to sleep as an idle M. False: the kernel refuses a thread; it
// has been reported once. Beyond max_threads: fatal.
bool start_thread(p* pp, bool spinning) noexcept;

void run_loop(m* self) noexcept;  // schedule.cpp

}  // namespace runnel::sched
