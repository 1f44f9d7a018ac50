#pragma once
// Deadlock: no goroutine can ever run again.
//
// Looked for when every P has been idle for a while: a deadlock does not go away, so that running goroutines pay nothing.
//
// Invariants, under the runtime's lock
//   at_large == the goroutines of this run that have left their P in user code and have neither one again nor a place in
//     a queue
//   every P idle, every queue empty, at_large == 0  =>  no goroutine runs
//   besides, no timer in any heap, no io_waits      =>  no goroutine will run, unless a thread outside wakes one
// Threads outside: those that wait for something of ours are counted; others the kernel knows. A listener for signals is as
// good as a thread.
//
// Who counts: a goroutine that gives its P up in user code, before the P can be idle (begin_blocking); who takes it away
// from there (revoke, claim_all), before its verdict is out. Both hold a P, or the world, so that no run ends meanwhile.
// Who counts back, under the lock: the goroutine when it has a P again (reacquire), or when it lies in the global queue
// (publish_from_large). The end of a run sets the count to 0, and frozen goroutines do not count back: one that never
// returns to the runtime would otherwise hide the deadlocks of later runs.

namespace runnel::sched {

// By sysmon, when all is idle: does not return from a deadlock. False: whatever happens next will begin with a P that is
// not idle any more, or there is no run. True: look again later; there would be one but for threads outside, or
// something was under way.
bool may_end_in_deadlock() noexcept;

}  // namespace runnel::sched
