#pragma once
// How to get from a frame to its caller's, as the compilers' call frame information (.eh_frame) says: what an unwinder
// interprets at every step, reduced to what most frames need and a return address can be remembered with.

#include <cstdint>

namespace runnel::platform {

// For one return address. The caller's stack pointer is the frame's stack pointer or frame pointer plus `cfa`; right
// below it lies the return address into the caller.
struct frame_rule {
  enum class base : std::uint8_t {
    unknown,        // only an unwinder can tell
    stack_pointer,  // + cfa
    frame_pointer,  // + cfa
    outermost,      // there is no caller
  };
  base from = base::unknown;
  std::uint32_t cfa = 0;
  std::uint32_t saved =
      0;  // the caller's frame pointer lies so far below its stack pointer; 0: unchanged
};

// x86-64 only; elsewhere every frame is unknown.
frame_rule find_frame_rule(std::uintptr_t return_address) noexcept;

}  // namespace runnel::platform
