#pragma once
// Deadlock: no goroutine can ever run again.
//
// Looked for when every P has been idle for a while: a deadlock does not go away, so that running goroutines pay nothing.
//
// Invariants, under the runtime's lock
//   every P idle, every queue empty, at_large == 0  =>  no goroutine runs: one that gives its P up in user code is
//     counted in at_large before that P can be idle, and leaves the count only when it is queued, or has a P again
//   besides, no timer in any heap, no io_waits      =>  no goroutine will run, unless a thread outside wakes one
// Threads outside: those that wait for something of ours are counted; others the kernel knows.

namespace runnel::sched {

// By sysmon, when all is idle: does not return from a deadlock. True: there would be one but for threads outside, and it
// is worth looking again later.
bool may_end_in_deadlock() noexcept;

}  // namespace runnel::sched
