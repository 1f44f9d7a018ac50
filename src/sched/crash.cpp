// An exception for which there is no handler ends in std::terminate before anything is unwound: the stack is that of the
// throw. A goroutine's root therefore has no handler but goexit's. Where func or run() have caught it, what they have noted
// of it is shown (lang/throw_witness.cpp).

#include "sched/crash.h"

#include <exception>
#include <ranges>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/exception_object.h"
#include "base/panic_record.h"
#include "sched/reporter.h"

namespace runnel::sched {
namespace {

// Oldest first.
class chain {
 public:
  void add(const std::string& text) {
    out_ += out_.empty() ? "panic: " : "\tpanic: ";
    out_ += text + '\n';
  }
  void add_all(const detail::panic_record* newest) {
    std::vector<const detail::panic_record*> records;
    for (; newest != nullptr; newest = newest->previous) records.push_back(newest);
    for (const detail::panic_record* r : std::views::reverse(records)) {
      add(detail::exception_text(r->exception) + (r->recovered ? " [recovered]" : ""));
    }
  }
  // But for those that are among the records.
  void add_all(const detail::panic_sighting* newest, const detail::panic_record* records) {
    std::vector<const detail::panic_sighting*> in_flight;
    for (; newest != nullptr; newest = newest->previous) {
      const detail::panic_record* r = records;
      while (r != nullptr && !newest->is_of(r->exception)) r = r->previous;
      if (r == nullptr) in_flight.push_back(newest);
    }
    for (const detail::panic_sighting* s : std::views::reverse(in_flight)) {
      add(detail::exception_text(s->type, s->object));
    }
  }
  const std::string& text() const { return out_; }

 private:
  std::string out_;
};

[[noreturn]] void report_and_exit() noexcept {
  base::begin_report();
  std::exception_ptr e = std::current_exception();
  std::string out;
  const detail::panic_state& state = detail::current_panic_state();
  detail::panic_record* newest = state.newest;
  // Compilers may end a noexcept function by a bare call of terminate, which leaves us without a current exception.
  if (e == nullptr && newest != nullptr && std::uncaught_exceptions() > 0) e = newest->exception;
  bool in_record = e != nullptr && newest != nullptr && newest->exception == e;
  if (e == nullptr) {
    out = "fatal error: std::terminate called\n";
  } else {
    // What a destructor throws while an exception runs it ends the program, although that one had a handler.
    chain all;
    all.add_all(state.in_flight, in_record ? newest : nullptr);
    if (in_record) {
      all.add_all(newest);
    } else {
      all.add(detail::exception_text(e));
    }
    out = all.text();
  }
  base::write_error(out);
  incident what;
  what.at = platform::registers_here();
  what.thrown = true;
  if (const auto* panic = base::exception_as<panic_error>(e)) {
    what.frames = panic->backtrace();
    what.goroutine = panic->goroutine();
  } else if (in_record) {
    what.frames = newest->backtrace();
    what.goroutine = newest->goroutine();
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
