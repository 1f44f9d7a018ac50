// How a program ends that breaks a rule: status 2, and one clear report on standard error.

#include "base/check.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <thread>

#include "base/hooks.h"

namespace runnel::base {
namespace {

using testing::ExitedWithCode;

TEST(check_death_test, fatal_exits_with_status_2_and_says_why) {
  EXPECT_EXIT(fatal("all goroutines are asleep"), ExitedWithCode(2),
              "^fatal error: all goroutines are asleep\n$");
}

TEST(check_death_test, fatal_gives_the_advice_on_a_line_before) {
  EXPECT_EXIT(fatal("runnel: buy more memory", "out of memory"), ExitedWithCode(2),
              "^runnel: buy more memory\nfatal error: out of memory\n$");
}

TEST(check_death_test, fatal_lists_the_goroutines_after_the_message) {
  EXPECT_EXIT(
      {
        hooks.tell_and_exit = +[]() noexcept { write_error("goroutine 1 [running]\n"); };
        fatal("stop");
      },
      ExitedWithCode(2), "^fatal error: stop\ngoroutine 1 \\[running\\]\n$");
}

TEST(check_death_test, fatal_runs_no_exit_handlers) {
  EXPECT_EXIT(
      {
        std::atexit([] { write_error("handler"); });
        fatal("stop");
      },
      ExitedWithCode(2), "^fatal error: stop\n$");
}

TEST(check_death_test, reports_the_first_of_many_failures_alone) {
  EXPECT_EXIT(
      {
        static std::atomic<bool> reported{false};
        hooks.tell_and_exit = +[]() noexcept {
          // The other thread fails while this one still reports.
          std::thread([] {
            reported = true;
            fatal("second");
          }).detach();
          while (!reported) sched_yield();
          for (int i = 0; i < 1000; ++i) sched_yield();
          write_error("end of the list\n");
        };
        fatal("first");
      },
      ExitedWithCode(2), "^fatal error: first\nend of the list\n$");
}

TEST(check_death_test, a_broken_check_names_the_place_and_the_rule) {
  EXPECT_EXIT(check(1 + 1 == 3, "arithmetic works"), ExitedWithCode(2),
              "^runnel: check failed at .*check_test\\.cpp:[0-9]+ in .*\n"
              "fatal error: arithmetic works\n$");
}

// Its name alone is longer than the line.
struct a_name_that_is_longer_than_anybody_would_want_to_read_in_a_report_of_a_failed_check {
  template <class... T>
  static void fail() {
    check(false, "cut");
  }
};

TEST(check_death_test, a_place_too_long_for_the_line_is_cut) {
  using longer =
      a_name_that_is_longer_than_anybody_would_want_to_read_in_a_report_of_a_failed_check;
  EXPECT_EXIT((longer::fail<longer, longer, longer, longer>()), ExitedWithCode(2),
              "^runnel: check failed at [^\n]*\nfatal error: cut\n$");
}

TEST(check_test, a_check_that_holds_has_no_effect) {
  check(true, "holds");
  debug_check(true, "holds");
}

TEST(check_death_test, a_debug_check_is_checked_in_builds_with_assertions_alone) {
  if (assertions) {
    EXPECT_EXIT(debug_check(false, "asserted"), ExitedWithCode(2), "fatal error: asserted\n$");
  } else {
    debug_check(false, "never looked at");
  }
}

TEST(check_test, write_error_writes_the_whole_text) {
  // More than a pipe holds, so that the kernel takes it in parts.
  std::string text(300'000, 'x');
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  int kept = dup(2);
  std::string received;
  std::thread reader([&] {
    char buffer[4096];
    for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;) received.append(buffer, n);
  });
  dup2(ends[1], 2);
  close(ends[1]);
  write_error(text);
  dup2(kept, 2);  // closes the pipe's last writing end
  close(kept);
  reader.join();
  close(ends[0]);
  EXPECT_EQ(received, text);
}

}  // namespace
}  // namespace runnel::base
