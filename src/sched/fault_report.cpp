// The handler writes what happened, without allocating or locking anything, and leaves the stacks to the reporter.

#include "sched/fault_report.h"

#include <signal.h>
#include <unistd.h>

#include <string_view>

#include "base/check.h"
#include "base/text_writer.h"
#include "platform/address_space.h"
#include "platform/fault.h"
#include "platform/stack_walk.h"
#include "sched/careful_walk.h"
#include "sched/reporter.h"
#include "sched/switch.h"

namespace runnel::sched {
namespace {

constexpr std::uintptr_t null_page = 4096;    // addresses below it come from null pointers
constexpr std::uintptr_t near_sp = 64 << 10;  // so near the stack pointer, it was a frame

bool goroutine_stack_used_up(const platform::fault& f, const g& me) noexcept {
  if ((f.signal != SIGSEGV && f.signal != SIGBUS) || f.sender != 0) return false;
  auto guard = reinterpret_cast<std::uintptr_t>(me.slot.begin);
  std::uintptr_t lowest = guard + me.slot.guard;
  // A large frame may begin beyond the guard, in the next goroutine's stack.
  bool leapt = f.sp < lowest && f.sp >= guard - me.slot.size;
  return leapt || (f.has_address && f.address >= guard && f.address < lowest);
}

bool thread_stack_used_up(const platform::fault& f) noexcept {
  return f.signal == SIGSEGV && f.has_address && f.address + near_sp >= f.sp &&
         f.address < f.sp + near_sp && !platform::readable(f.address);
}

void print_signal(base::text_writer& out, const platform::fault& f) noexcept {
  out << "[signal " << platform::signal_name(f.signal) << ": " << platform::signal_text(f.signal)
      << " code=";
  if (f.code < 0) {
    out << f.code;
  } else {
    out.hex(static_cast<std::uint64_t>(f.code));
  }
  if (const char* code = platform::code_text(f.signal, f.code)) out << " (" << code << ')';
  if (f.has_address) (out << " addr=").hex(f.address);
  if (f.sender != 0 && f.sender != getpid()) out << " sender=" << f.sender;
  (out << " pc=").hex(f.pc) << "]\n";
}

void print_hint(base::text_writer& out, const platform::fault& f) noexcept {
  if (f.signal != SIGSEGV || f.sender != 0) return;
  if (!f.has_address) {
    out << "runnel: the machine does not tell the address; mostly one that no pointer can have, "
           "from memory that was "
           "freed or overwritten\n";
  } else if (f.address == f.pc) {
    out << (f.pc < null_page ? "runnel: a call through a null pointer to a function\n"
                             : "runnel: a jump to where no code is\n");
  } else if (f.address < null_page) {
    out << "runnel: a null pointer";
    if (f.address != 0) out << ", or a member " << f.address << " bytes into an object at one";
    out << '\n';
  } else if (f.code == SEGV_ACCERR && platform::readable(f.address)) {
    out << "runnel: a write to memory that can only be read, as string literals and constants\n";
  }
}

void print_head(const platform::fault& f, const g* me) noexcept {
  base::text_writer out(STDERR_FILENO);
  if (me != nullptr && goroutine_stack_used_up(f, *me)) {
    out << "runnel: goroutine stack exceeds " << me->slot.size << "-byte limit (goroutine "
        << me->id.load(std::memory_order_relaxed);
    if (me->work != nullptr && me->work->name != nullptr) out << " \"" << me->work->name << '"';
    out << ")\nrunnel: raise options.stack_size, or go_options.stack_size for this goroutine; or "
           "let large arrays "
           "live on the heap\nfatal error: stack overflow\n";
    print_signal(out, f);
  } else if (me == nullptr && thread_stack_used_up(f)) {
    out << "fatal error: stack overflow of a thread\n";
    print_signal(out, f);
  } else {
    out << "fatal error: " << platform::signal_name(f.signal) << ": "
        << platform::signal_text(f.signal) << '\n';
    print_signal(out, f);
    print_hint(out, f);
  }
}

void print_registers(base::text_writer& out, const void* about) {
  constexpr std::string_view column = "       ";
  out << '\n';
  for (const auto& [name, value] : static_cast<const platform::fault*>(about)->registers) {
    std::string_view text = name;
    (out << text << column.substr(text.size())).hex(value) << '\n';
  }
}

void on_fault(int signal, siginfo_t* info, void* ucontext) {
  // In the child of a fork there is nobody to report.
  if (rt().forked.load(std::memory_order_relaxed)) return platform::die_after_handler(signal);
  end_walk_astray();
  give_report_up();
  base::begin_report();
  platform::fault f = platform::describe_fault(*info, ucontext);
  const m* self = current_m();
  print_head(f, self != nullptr ? self->current : nullptr);
  incident what;
  what.at = platform::registers_of_signal(ucontext);
  what.from = platform::walk_from::instruction;
  what.signal = signal;
  what.thrown = signal == SIGABRT && f.sender == getpid();
  what.epilogue = &print_registers;
  what.about = &f;
  tell_and_exit(what);
}

}  // namespace

void install_fault_report() noexcept { platform::install_fault_handler(&on_fault); }

}  // namespace runnel::sched
