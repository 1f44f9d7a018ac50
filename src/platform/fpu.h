#pragma once
// The floating-point control state (rounding, denormals, traps) belongs to the goroutine that set it.
//
// It is read at every switch and written only where the two sides differ: reading is cheap, writing
// drains the pipeline, and nearly every goroutine keeps the default.

#include <cstdint>

namespace runnel::platform {

struct fpu_control {
#if defined(__x86_64__)
  std::uint32_t mxcsr = 0x1f80;  // the ABI's state at program start
  std::uint16_t x87 = 0x037f;

  void save() noexcept { asm volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(mxcsr), "=m"(x87)); }
  void load() const noexcept { asm volatile("ldmxcsr %0\n\tfldcw %1" ::"m"(mxcsr), "m"(x87)); }
  // The low six bits of mxcsr are sticky exception flags, not control. Field by field: a wider load
  // could not be forwarded from the two stores of save().
  bool same_as(const fpu_control& other) const noexcept {
    return ((mxcsr ^ other.mxcsr) & ~0x3fu) == 0 && x87 == other.x87;
  }
#elif defined(__aarch64__)
  std::uint64_t fpcr = 0;

  void save() noexcept { asm volatile("mrs %0, fpcr" : "=r"(fpcr)); }
  void load() const noexcept { asm volatile("msr fpcr, %0" ::"r"(fpcr)); }
  bool same_as(const fpu_control& other) const noexcept { return fpcr == other.fpcr; }
#endif
};

}  // namespace runnel::platform
