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

  static fpu_control read() noexcept {
    fpu_control c;
    asm volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(c.mxcsr), "=m"(c.x87));
    c.mxcsr &= ~0x3fu;  // the sticky exception flags are not control
    return c;
  }
  void write() const noexcept {
    asm volatile("ldmxcsr %0\n\tfldcw %1" ::"m"(mxcsr), "m"(x87));
  }
#elif defined(__aarch64__)
  std::uint64_t fpcr = 0;

  static fpu_control read() noexcept {
    fpu_control c;
    asm volatile("mrs %0, fpcr" : "=r"(c.fpcr));
    return c;
  }
  void write() const noexcept { asm volatile("msr fpcr, %0" ::"r"(fpcr)); }
#endif
  bool operator==(const fpu_control&) const = default;
};

}  // namespace runnel::platform
