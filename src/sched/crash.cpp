// An exception for which there is no handler ends in std::terminate before anything is unwound: the stack is that of the
// throw. A goroutine's root therefore has no handler but goexit's.

#include "sched/crash.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/exception_object.h"
#include "base/panic_record.h"
#include "platform/backtrace.h"
#include "sched/switch.h"

namespace runnel::sched {
namespace {

constexpr int frames_max = 100;

void print_chain(std::string& out, const detail::panic_record* newest) {
  std::vector<const detail::panic_record*> chain;
  for (; newest != nullptr; newest = newest->previous) chain.push_back(newest);
  for (std::size_t i = chain.size(); i-- > 0;) {
    out += i + 1 == chain.size() ? "panic: " : "\tpanic: ";
    out += detail::exception_text(chain[i]->exception);
    out += chain[i]->recovered ? " [recovered]\n" : "\n";
  }
}

void print_frame(std::string& out, platform::symbolizer& symbols, void* address) {
  platform::code_location at = symbols.locate(address);
  char place[64];
  out += at.function.empty() ? "?" : at.function;
  out += "\n\t";
  out += at.file.empty() ? "?" : at.file;
  if (at.line > 0) {
    std::snprintf(place, sizeof place, ":%d\n", at.line);
  } else {
    std::snprintf(place, sizeof place, " +0x%zx\n", at.offset);
  }
  out += place;
}

// The calls below the throw: what raises an exception and ends the program says nothing.
std::span<void*> below_the_throw(std::span<void*> frames, platform::symbolizer& symbols) {
  for (std::size_t i = 0; i < frames.size(); ++i) {
    std::string name = symbols.locate(frames[i]).function;
    if (name == "__cxa_throw" || name == "__cxa_rethrow" ||
        name == "std::rethrow_exception(std::__exception_ptr::exception_ptr)") {
      return frames.subspan(i + 1);
    }
  }
  return frames;
}

void print_stack(std::string& out, const std::exception_ptr& e) {
  platform::symbolizer symbols;
  void* here[frames_max];
  auto count = static_cast<std::size_t>(platform::capture_backtrace(here, frames_max, 2));
  const auto* panic = base::exception_as<panic_error>(e);
  m* self = current_m();
  g* me = self != nullptr ? self->current : nullptr;
  std::uint64_t id = me != nullptr ? me->id.load(std::memory_order_relaxed) : 0;
  if (panic != nullptr) id = panic->goroutine();
  if (id != 0) {
    out += "\ngoroutine " + std::to_string(id) + " [running]:\n";
  } else {
    out += "\nthread " + std::to_string(gettid()) + " [running]:\n";
  }
  if (panic != nullptr) {
    for (void* frame : panic->backtrace()) print_frame(out, symbols, frame);
  } else {
    for (void* frame : below_the_throw({here, count}, symbols)) print_frame(out, symbols, frame);
  }
  if (me != nullptr && me->work != nullptr && me->work->creator != 0) {
    out += "created by ";
    print_frame(out, symbols, me->work->creator_pc);
    out.insert(out.find('\n', out.rfind("created by ")),
               " in goroutine " + std::to_string(me->work->creator));
  }
}

[[noreturn]] void report_and_exit() noexcept {
  base::begin_report();
  std::exception_ptr e = std::current_exception();
  std::string out;
  detail::panic_record* newest = detail::current_panic_state().newest;
  // Compilers may end a noexcept function by a bare call of terminate, which leaves us without a current exception.
  if (e == nullptr && newest != nullptr && std::uncaught_exceptions() > 0) e = newest->exception;
  if (e == nullptr) {
    out = "fatal error: std::terminate called\n";
  } else if (newest != nullptr && newest->exception == e) {
    print_chain(out, newest);
  } else {
    out = "panic: " + detail::exception_text(e) + "\n";
  }
  base::write_error(out);
  out.clear();
  const char* wish = std::getenv("RUNNEL_TRACEBACK");
  std::string_view level = wish != nullptr ? wish : "single";
  if (level != "none") {
    print_stack(out, e);
    base::write_error(out);
  }
  _exit(2);
}

}  // namespace

void install_crash_report() noexcept { std::set_terminate(&report_and_exit); }

}  // namespace runnel::sched
