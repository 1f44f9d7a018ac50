#pragma once
// Lists of goroutines on standard error.

namespace runnel::sched {

// Every goroutine that has a stack: id, name, state and reason. Neither allocates nor waits.
void list_goroutines() noexcept;

}  // namespace runnel::sched
