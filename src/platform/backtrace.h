#pragma once
// Return addresses of the calls that are active on one's own stack. Of other stacks: stack_walk.h; what they mean:
// symbolizer.h.

namespace runnel::platform {

// Stores at most `most` return addresses, innermost first, without the first `skip` callers; returns how many.
int capture_backtrace(void** frames, int most, int skip) noexcept;

}  // namespace runnel::platform
