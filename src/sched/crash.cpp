// An exception for which there is no handler ends in std::terminate before anything is unwound: the stack is that of the
// throw. A goroutine's root therefore has no handler but goexit's.

#include "sched/crash.h"

#include <exception>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/exception_object.h"
#include "base/panic_record.h"
#include "sched/reporter.h"

namespace runnel::sched {
namespace {

void print_chain(std::string& out, const detail::panic_record* newest) {
  std::vector<const detail::panic_record*> chain;
  for (; newest != nullptr; newest = newest->previous) chain.push_back(newest);
  for (std::size_t i = chain.size(); i-- > 0;) {
    out += i + 1 == chain.size() ? "panic: " : "\tpanic: ";
    out += detail::exception_text(chain[i]->exception);
    out += chain[i]->recovered ? " [recovered]\n" : "\n";
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
  incident what;
  what.at = platform::registers_here();
  what.thrown = true;
  if (const auto* panic = base::exception_as<panic_error>(e)) {
    what.frames = panic->backtrace();
    what.goroutine = panic->goroutine();
  }
  tell_and_exit(what);
}

}  // namespace

void install_crash_report() noexcept { std::set_terminate(&report_and_exit); }

void tell_of_fatal_error() noexcept {
  incident what;
  what.at = platform::registers_here();
  what.everybody = true;
  tell_and_exit(what);
}

}  // namespace runnel::sched
