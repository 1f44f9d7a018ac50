#pragma once
// The thread's M, read so that no optimizer can carry an address or a value over a context switch.
//
// A goroutine may continue on another thread, so the address of a thread-local, which compilers take
// to be constant within a function, is not. The variable lives in context_<machine>.S and is reached by
// volatile assembly: neither the address nor the value is visible to common subexpression elimination,
// to inlining or to link-time optimization. Initial-exec model: the linker relaxes it to local-exec in
// executables, and it stays right in shared libraries.
//
// errno has the same illness: glibc declares __errno_location() const. platform::errno_ref() is the
// accessor that is safe on both sides of a switch.

#include <cerrno>

namespace runnel::platform {

inline void* tls_m() noexcept {
  void* value;
#if defined(__x86_64__)
  asm volatile(
      "movq runnel_tls_m@gottpoff(%%rip), %0\n\t"
      "movq %%fs:(%0), %0"
      : "=&r"(value)
      :
      : "memory");
#elif defined(__aarch64__)
  void* offset;
  asm volatile(
      "mrs %0, tpidr_el0\n\t"
      "adrp %1, :gottprel:runnel_tls_m\n\t"
      "ldr %1, [%1, #:gottprel_lo12:runnel_tls_m]\n\t"
      "ldr %0, [%0, %1]"
      : "=&r"(value), "=&r"(offset)
      :
      : "memory");
#endif
  return value;
}

inline void set_tls_m(void* value) noexcept {
#if defined(__x86_64__)
  void* offset;
  asm volatile(
      "movq runnel_tls_m@gottpoff(%%rip), %0\n\t"
      "movq %1, %%fs:(%0)"
      : "=&r"(offset)
      : "r"(value)
      : "memory");
#elif defined(__aarch64__)
  void* base;
  void* offset;
  asm volatile(
      "mrs %0, tpidr_el0\n\t"
      "adrp %1, :gottprel:runnel_tls_m\n\t"
      "ldr %1, [%1, #:gottprel_lo12:runnel_tls_m]\n\t"
      "str %2, [%0, %1]"
      : "=&r"(base), "=&r"(offset)
      : "r"(value)
      : "memory");
#endif
}

// The calling thread's errno, located anew at every call.
int& errno_ref() noexcept;

}  // namespace runnel::platform
