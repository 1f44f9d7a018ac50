#include "platform/fault.h"

#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>

#include "platform/thread.h"

namespace runnel::platform {
namespace {

constexpr std::array signals{SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};

struct code_name {
  int signal;
  int code;
  const char* text;
};

constexpr code_name code_names[] = {
    {SIGSEGV, SEGV_MAPERR, "address not mapped"},
    {SIGSEGV, SEGV_ACCERR, "no permission"},
    {SIGSEGV, 3, "bound check failed"},
    {SIGSEGV, 4, "protection key"},
    {SIGSEGV, 8, "memory tag mismatch, found late"},
    {SIGSEGV, 9, "memory tag mismatch"},
    {SIGSEGV, 10, "control flow protection"},
    {SIGBUS, BUS_ADRALN, "misaligned address"},
    {SIGBUS, BUS_ADRERR, "nothing there: beyond the end of a file?"},
    {SIGBUS, BUS_OBJERR, "hardware error"},
    {SIGBUS, 4, "memory error, action required"},
    {SIGBUS, 5, "memory error, action optional"},
    {SIGFPE, FPE_INTDIV, "integer divide by zero"},
    {SIGFPE, FPE_INTOVF, "integer overflow"},
    {SIGFPE, FPE_FLTDIV, "floating-point divide by zero"},
    {SIGFPE, FPE_FLTOVF, "floating-point overflow"},
    {SIGFPE, FPE_FLTUND, "floating-point underflow"},
    {SIGFPE, FPE_FLTRES, "floating-point inexact result"},
    {SIGFPE, FPE_FLTINV, "invalid floating-point operation"},
    {SIGFPE, FPE_FLTSUB, "subscript out of range"},
    {SIGILL, ILL_ILLOPC, "illegal opcode"},
    {SIGILL, ILL_ILLOPN, "illegal operand"},
    {SIGILL, ILL_ILLADR, "illegal addressing mode"},
    {SIGILL, ILL_ILLTRP, "illegal trap"},
    {SIGILL, ILL_PRVOPC, "privileged opcode"},
    {SIGILL, ILL_PRVREG, "privileged register"},
    {SIGILL, ILL_COPROC, "coprocessor error"},
    {SIGILL, ILL_BADSTK, "internal stack error"},
    {SIGTRAP, TRAP_BRKPT, "breakpoint"},
    {SIGTRAP, TRAP_TRACE, "trace trap"},
    {SIGSYS, 1, "refused by a seccomp filter"},
};

bool carries_address(int signal) noexcept {
  return signal == SIGSEGV || signal == SIGBUS || signal == SIGFPE || signal == SIGILL ||
         signal == SIGTRAP;
}

#if defined(__x86_64__)

void read_registers(const ucontext_t& context, fault& f) noexcept {
  // In Go's order.
  static constexpr struct {
    const char* name;
    int index;
  } known[] = {
      {"rax", REG_RAX}, {"rbx", REG_RBX}, {"rcx", REG_RCX},    {"rdx", REG_RDX}, {"rdi", REG_RDI},
      {"rsi", REG_RSI}, {"rbp", REG_RBP}, {"rsp", REG_RSP},    {"r8", REG_R8},   {"r9", REG_R9},
      {"r10", REG_R10}, {"r11", REG_R11}, {"r12", REG_R12},    {"r13", REG_R13}, {"r14", REG_R14},
      {"r15", REG_R15}, {"rip", REG_RIP}, {"rflags", REG_EFL},
  };
  const greg_t* values = context.uc_mcontext.gregs;
  std::size_t n = 0;
  for (auto [name, index] : known) {
    f.registers[n++] = {name, static_cast<std::uint64_t>(values[index])};
  }
  // Sixteen bits each: cs, gs, fs, ss.
  auto segments = static_cast<std::uint64_t>(values[REG_CSGSFS]);
  f.registers[n++] = {"cs", segments & 0xffff};
  f.registers[n++] = {"fs", segments >> 32 & 0xffff};
  f.registers[n++] = {"gs", segments >> 16 & 0xffff};
  f.pc = static_cast<std::uintptr_t>(values[REG_RIP]);
  f.sp = static_cast<std::uintptr_t>(values[REG_RSP]);
}

#elif defined(__aarch64__)

void read_registers(const ucontext_t& context, fault& f) noexcept {
  static constexpr const char* names[] = {"x0",  "x1",  "x2",  "x3",  "x4",  "x5",  "x6",  "x7",
                                          "x8",  "x9",  "x10", "x11", "x12", "x13", "x14", "x15",
                                          "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23",
                                          "x24", "x25", "x26", "x27", "x28", "x29", "lr"};
  const mcontext_t& values = context.uc_mcontext;
  std::size_t n = 0;
  for (const char* name : names) {
    f.registers[n] = {name, values.regs[n]};
    ++n;
  }
  f.registers[n++] = {"sp", values.sp};
  f.registers[n++] = {"pc", values.pc};
  f.registers[n++] = {"fault", values.fault_address};
  f.pc = values.pc;
  f.sp = values.sp;
}

#endif

// And blocks or unblocks it on this thread.
void set_default(int signal, int mask_operation) noexcept {
  struct sigaction by_default{};
  by_default.sa_handler = SIG_DFL;
  sigaction(signal, &by_default, nullptr);
  sigset_t these;
  sigemptyset(&these);
  sigaddset(&these, signal);
  pthread_sigmask(mask_operation, &these, nullptr);
}

}  // namespace

std::span<const int> fault_signals() noexcept { return signals; }

const char* signal_name(int signal) noexcept {
  switch (signal) {
    case SIGSEGV: return "SIGSEGV";
    case SIGBUS: return "SIGBUS";
    case SIGFPE: return "SIGFPE";
    case SIGILL: return "SIGILL";
    case SIGABRT: return "SIGABRT";
    case SIGTRAP: return "SIGTRAP";
    case SIGSYS: return "SIGSYS";
    default: return "?";
  }
}

const char* signal_text(int signal) noexcept {
  switch (signal) {
    case SIGSEGV: return "segmentation violation";
    case SIGBUS: return "bus error";
    case SIGFPE: return "arithmetic exception";
    case SIGILL: return "illegal instruction";
    case SIGABRT: return "abort";
    case SIGTRAP: return "trace trap";
    case SIGSYS: return "bad system call";
    default: return "signal";
  }
}

const char* code_text(int signal, int code) noexcept {
  switch (code) {
    case SI_USER:
    case SI_QUEUE: return "sent by a process";
    case SI_TKILL: return signal == SIGABRT ? "raised" : "sent by a process";
    case SI_TIMER: return "sent by a timer";
    // x86-64 names no address when one is not canonical.
    case SI_KERNEL: return signal == SIGSEGV ? "general protection" : "from the kernel";
    default: break;
  }
  for (const code_name& known : code_names) {
    if (known.signal == signal && known.code == code) return known.text;
  }
  return nullptr;
}

fault describe_fault(const siginfo_t& info, const void* ucontext) noexcept {
  fault f;
  f.signal = info.si_signo;
  f.code = info.si_code;
  if (info.si_code == SI_USER || info.si_code == SI_QUEUE || info.si_code == SI_TKILL) {
    f.sender = info.si_pid;
  } else if (info.si_code > 0 && info.si_code != SI_KERNEL && carries_address(info.si_signo)) {
    f.has_address = true;
    f.address = reinterpret_cast<std::uintptr_t>(info.si_addr);
  }
  read_registers(*static_cast<const ucontext_t*>(ucontext), f);
  return f;
}

int install_fault_handler(void (*handler)(int, siginfo_t*, void*)) noexcept {
  int installed = 0;
  for (int signal : signals) {
    struct sigaction now{};
    if (sigaction(signal, nullptr, &now) != 0) continue;
    if ((now.sa_flags & SA_SIGINFO) != 0 || now.sa_handler != SIG_DFL) continue;
    struct sigaction wish{};
    wish.sa_sigaction = handler;
    wish.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigemptyset(&wish.sa_mask);
    if (sigaction(signal, &wish, nullptr) == 0) ++installed;
  }
  return installed;
}

void die_after_handler(int signal) noexcept {
  set_default(signal, SIG_BLOCK);
  // Pending until the return from the handler restores the mask: the core then shows the interrupted code.
  syscall(SYS_tgkill, getpid(), thread_id(), signal);
}

void die_by_signal(int signal) noexcept {
  set_default(signal, SIG_UNBLOCK);
  syscall(SYS_tgkill, getpid(), thread_id(), signal);
  _exit(2);  // a signal that does not kill
}

}  // namespace runnel::platform
