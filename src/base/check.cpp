#include "base/check.h"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>

#include "base/hooks.h"
#include "base/text_writer.h"

namespace runnel::base {

constinit hook_table hooks;

namespace {

constinit std::atomic<int> reporter{0};  // the thread that tells why the process ends

}  // namespace

void write_error(std::string_view text) noexcept { write_all(STDERR_FILENO, text); }

void fatal(std::string_view what) noexcept { fatal({}, what); }

bool try_begin_report() noexcept {
  // The first failure is the one to tell; others that it causes meanwhile would only garble it. One on the same
  // thread means that telling has failed too.
  const int self = gettid();
  int nobody = 0;
  if (reporter.compare_exchange_strong(nobody, self)) return true;
  if (nobody == self) _exit(2);
  return false;
}

void begin_report() noexcept {
  if (try_begin_report()) return;
  for (;;) pause();
}

void let_report_end() noexcept {
  if (reporter.load() == 0) return;
  for (;;) pause();
}

void fatal(std::string_view advice, std::string_view what) noexcept {
  begin_report();
  if (!advice.empty()) {
    write_error(advice);
    write_error("\n");
  }
  write_error("fatal error: ");
  write_error(what);
  write_error("\n");
  if (auto tell = hooks.tell_and_exit.load(std::memory_order_acquire)) tell();
  _exit(2);
}

void check_failed(std::string_view what, std::source_location where) noexcept {
  char advice[256];
  int n = std::snprintf(advice, sizeof advice, "runnel: check failed at %s:%u in %s",
                        where.file_name(), where.line(), where.function_name());
  auto length = n < 0 ? 0u : static_cast<std::size_t>(n) < sizeof advice ? n : sizeof advice - 1;
  fatal(std::string_view(advice, length), what);
}

}  // namespace runnel::base
