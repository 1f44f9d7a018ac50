#pragma once
// A goroutine that will be long in the kernel hands its P on before it goes.

namespace runnel::sched {

// Between the two, the caller's G runs without a P, in zone `blocking`. It may call anything of the runtime:
// the first call gets it a P again. On a plain thread both do nothing. errno passes through end_blocking
// unchanged, whatever thread the goroutine continues on.
void begin_blocking() noexcept;
void end_blocking() noexcept;

}  // namespace runnel::sched
