#pragma once
// Signals that say that the program is wrong: what they are called, and what the kernel tells with one.
// Everything here may be called in a signal handler: nothing allocates or locks.

#include <signal.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace runnel::platform {

// SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS.
std::span<const int> fault_signals() noexcept;

// "SIGSEGV"; "?" for signals that are no faults.
const char* signal_name(int signal) noexcept;
// "segmentation violation"
const char* signal_text(int signal) noexcept;
// "address not mapped"; nullptr: nothing is known of it.
const char* code_text(int signal, int code) noexcept;

struct machine_register {
  const char* name;
  std::uint64_t value;
};

#if defined(__x86_64__)
inline constexpr std::size_t machine_registers = 21;
#elif defined(__aarch64__)
inline constexpr std::size_t machine_registers = 34;
#endif

struct fault {
  int signal = 0;
  int code = 0;
  int sender = 0;              // a process that sent the signal; 0: the machine did
  bool has_address = false;    // whether the kernel says which one
  std::uintptr_t address = 0;  // that could not be used, or of the instruction
  std::uintptr_t pc = 0;
  std::uintptr_t sp = 0;
  std::array<machine_register, machine_registers> registers{};
};

// From what a handler installed with SA_SIGINFO is called with.
fault describe_fault(const siginfo_t& info, const void* ucontext) noexcept;

// Installs the handler, on the alternate stack of threads that have one, for every fault for which nobody has one: the
// program's own, or a sanitizer's, stays. While it runs it can be interrupted by the same signal. Returns for how many.
int install_fault_handler(void (*handler)(int, siginfo_t*, void*)) noexcept;

// In a handler: the program is to end by this signal where it was interrupted, once the handler has returned.
void die_after_handler(int signal) noexcept;

// At once, whatever the program does about the signal otherwise.
[[noreturn]] void die_by_signal(int signal) noexcept;

}  // namespace runnel::platform
