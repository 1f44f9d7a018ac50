#pragma once
// The report of a panic that nobody recovers, and of everything else that ends in std::terminate.

namespace runnel::sched {

// Makes it the program's terminate handler.
void install_crash_report() noexcept;

// After base::fatal has written what is wrong: all goroutines.
void tell_of_fatal_error() noexcept;

}  // namespace runnel::sched
