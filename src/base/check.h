#pragma once
// Checks: what must hold, and how the program ends when it does not.
//
//   check         always on: broken invariants of the runtime and misuse that cannot be reported otherwise
//   debug_check   in builds with assertions (RUNNEL_ASSERTIONS)
//   fatal         an error of the program that nothing can recover: Go's "fatal error", exit status 2

#include <source_location>
#include <string_view>

namespace runnel::base {

#if defined(RUNNEL_ASSERTIONS) && RUNNEL_ASSERTIONS
inline constexpr bool assertions = true;
#else
inline constexpr bool assertions = false;
#endif

// Prints "fatal error: <what>" and every goroutine, and ends the process with status 2.
[[noreturn]] void fatal(std::string_view what) noexcept;

// As fatal, after a line of its own that says what to do about it.
[[noreturn]] void fatal(std::string_view advice, std::string_view what) noexcept;

// Writes to standard error without allocating or locking.
void write_error(std::string_view text) noexcept;

// Before a report that ends the process: returns to the first thread that calls it; others wait for the end. A second
// call on the same thread means that the report itself has failed, and ends the process.
void begin_report() noexcept;
// The same, but false where the others would wait.
bool try_begin_report() noexcept;

// Before the process may end in peace: does not return while a report is under way on another thread.
void let_report_end() noexcept;

[[noreturn]] void check_failed(std::string_view what, std::source_location where) noexcept;

inline void check(bool holds, const char* what,
                  std::source_location where = std::source_location::current()) noexcept {
  if (!holds) [[unlikely]]
    check_failed(what, where);
}

inline void debug_check(bool holds, const char* what,
                        std::source_location where = std::source_location::current()) noexcept {
  if constexpr (assertions) check(holds, what, where);
}

}  // namespace runnel::base
