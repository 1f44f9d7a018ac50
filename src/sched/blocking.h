#pragma once
// A goroutine that will be long in the kernel hands its P on before it goes.

extern "C" void runnel_begin_blocking() noexcept;

namespace runnel::sched {

// Between the two, the caller's G runs without a P, in zone `blocking`. It may call anything of the runtime:
// the first call gets it a P again. On a plain thread both do nothing. errno passes through end_blocking
// unchanged, whatever thread the goroutine continues on.
//
// begin_blocking notes the registers of its caller, which must not return before end_blocking: from there a report can
// read the goroutine's stack while it blocks.
inline void begin_blocking() noexcept { runnel_begin_blocking(); }
void end_blocking() noexcept;

}  // namespace runnel::sched
