#pragma once
// The life of a goroutine on its stack: begin, run, end, begin the next.

#include <cstdint>

#include "sched/g.h"
#include "sched/m.h"

namespace runnel::sched {

// The first function on every goroutine stack. `value` is the M that switched here.
void goroutine_main(void* argument, void* value);

// Gives `work` to the idle `me`.
void adopt(g& me, task* work) noexcept;

// Thrown by goexit; caught by goroutine_main alone. A handler on the way that swallows it destroys it, which is fatal.
struct exit_signal {
  exit_signal() = default;
  exit_signal(const exit_signal&) = delete;
  exit_signal& operator=(const exit_signal&) = delete;
  ~exit_signal();

  mutable bool arrived = false;
};

// Destroys the values of goroutine_local; runs user code.
void destroy_locals(g& me) noexcept;

}  // namespace runnel::sched
