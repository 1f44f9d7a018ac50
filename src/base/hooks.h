#pragma once
// The only calls from a lower layer into a higher one. Each is set once, before the first M exists.

#include <atomic>

namespace runnel::base {

struct hook_table {
  // By sched, for fatal(): writes the stacks of all goroutines to standard error and ends the process.
  std::atomic<void (*)() noexcept> tell_and_exit{nullptr};
};

extern constinit hook_table hooks;

}  // namespace runnel::base
