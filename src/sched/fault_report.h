#pragma once
// The report of a signal that says that the program is wrong: SIGSEGV and the like, abort(), and a stack that is used up.

namespace runnel::sched {

// Where the program has no handler of its own. One that it installs later replaces ours.
void install_fault_report() noexcept;

}  // namespace runnel::sched
