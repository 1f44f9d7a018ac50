#pragma once

namespace runnel::sched {

// Return addresses of the calls that are active on this goroutine or thread, innermost first, beginning with the
// caller's; returns how many, at most `most`. Fast on a goroutine: some nanoseconds a call.
int capture_own_stack(void** frames, int most) noexcept;

}  // namespace runnel::sched
