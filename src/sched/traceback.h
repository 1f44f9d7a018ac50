#pragma once
// How much the report of a program's end shows: RUNNEL_TRACEBACK, as Go's GOTRACEBACK.

namespace runnel::sched {

enum class traceback {
  none,    // no stacks
  single,  // of the goroutine in trouble; all goroutines if there is none, or the runtime itself found the error
  all,     // of all goroutines
  system,  // with the calls inside the runtime
  crash,   // as system; then the process aborts, so that the kernel writes a core
};

// single, unless RUNNEL_TRACEBACK says otherwise: one of these names, or 0 (none), 1 (all), 2 (system).
traceback traceback_level() noexcept;

}  // namespace runnel::sched
