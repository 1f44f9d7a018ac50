#include <gtest/gtest.h>

#include <atomic>

#include "runnel/runnel.h"
#include "support/death.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::run;
using thread_limit = test::in_own_process;

// Goroutines that hold a thread each, at the same time.
void hold_threads(int n) {
  std::atomic<int> inside{0};
  runnel::wait_group wg;
  for (int i = 0; i < n; ++i) {
    wg.go([&] {
      runnel::blocking([&] {
        ++inside;
        test::compute_until([&] { return inside == n; });
      });
    });
  }
  wg.wait();
}

TEST_F(thread_limit, one_more_thread_is_fatal) {
  EXPECT_EXIT(run({.max_procs = 2, .max_threads = 8}, [] { hold_threads(20); }), test::exits_with_2,
              "fatal error: program exceeds 8-thread limit");
}

TEST_F(thread_limit, says_what_to_do) {
  EXPECT_EXIT(run({.max_procs = 1, .max_threads = 5}, [] { hold_threads(20); }), test::exits_with_2,
              "max_threads");
}

TEST_F(thread_limit, as_many_threads_as_allowed_are_no_error) {
  EXPECT_EXIT(
      {
        // One for each of the six, one for whoever comes next.
        run({.max_procs = 1, .max_threads = 7}, [] { hold_threads(6); });
        test::finish(true);
      },
      test::succeeds, "");
}

}  // namespace
