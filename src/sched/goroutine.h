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

// Ends with the program's crash report: an exception has left a goroutine. To be called in a handler.
[[noreturn]] void report_uncaught(std::uint64_t id) noexcept;

// Thrown by goexit; caught by goroutine_main alone.
struct exit_signal {};

// Destroys the values of goroutine_local; runs user code.
void destroy_locals(g& me) noexcept;

}  // namespace runnel::sched
