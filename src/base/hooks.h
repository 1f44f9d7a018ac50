#pragma once
// The only calls from a lower layer into a higher one. Each is set once, before the first M exists.

#include <atomic>

namespace runnel::base {

struct hook_table {
  // By sched, for fatal(): lists all goroutines on standard error. Must neither allocate nor wait.
  std::atomic<void (*)() noexcept> list_goroutines{nullptr};
};

extern constinit hook_table hooks;

}  // namespace runnel::base
