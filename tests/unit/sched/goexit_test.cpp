#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <exception>
#include <stdexcept>

#include "runnel/runnel.h"
#include "support/death.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::run;

struct sets_when_destroyed {
  std::atomic<bool>& flag;
  ~sets_when_destroyed() { flag = true; }
};

TEST(goexit, ends_the_goroutine_and_runs_its_destructors) {
  run([] {
    std::atomic<bool> destroyed{false}, went_on{false};
    runnel::go([&] {
      sets_when_destroyed guard{destroyed};
      [] { runnel::goexit(); }();
      went_on = true;
    });
    EXPECT_TRUE(test::eventually([&] { return destroyed && runnel::num_goroutine() == 1; }));
    EXPECT_FALSE(went_on);
  });
}

TEST(goexit, lets_destructors_park) {
  struct parks {
    std::atomic<bool>& done;
    ~parks() {
      runnel::yield();
      runnel::sleep(100us);
      done = true;
    }
  };
  run({.max_procs = 4}, [] {
    std::atomic<bool> done{false};
    runnel::wait_group wg;
    wg.go([&] {
      parks guard{done};
      runnel::goexit();
    });
    wg.wait();
    EXPECT_TRUE(done);
  });
}

TEST(goexit, is_no_std_exception) {
  run([] {
    std::atomic<bool> caught{false};
    runnel::wait_group wg;
    wg.go([&] {
      try {
        runnel::goexit();
      } catch (const std::exception&) {
        caught = true;
      }
    });
    wg.wait();
    EXPECT_FALSE(caught);
  });
}

TEST(goexit, leaves_no_exception_behind_for_the_next_on_the_same_stack) {
  run({.max_procs = 1}, [] {
    for (int i = 0; i < 100; ++i) {
      runnel::wait_group wg;
      bool clean = false;
      wg.go([] { runnel::goexit(); });
      wg.wait();
      wg.go([&] { clean = !std::current_exception() && std::uncaught_exceptions() == 0; });
      wg.wait();
      ASSERT_TRUE(clean);
    }
  });
}

TEST(goexit, on_a_plain_thread_panics) { EXPECT_THROW(runnel::goexit(), runnel::runtime_error); }

using goexit_in_own_process = test::in_own_process;

TEST_F(goexit_in_own_process, of_main_lets_the_others_go_on) {
  EXPECT_EXIT(run([] {
                runnel::go([] {
                  for (int i = 0; i < 10; ++i) runnel::sleep(1ms);
                  test::finish(true);
                });
                runnel::goexit();
              }),
              test::succeeds, "");
}

TEST_F(goexit_in_own_process, of_main_is_fatal_once_no_goroutine_is_left) {
  EXPECT_EXIT(run([] {
                runnel::go([] { runnel::sleep(5ms); });
                runnel::goexit();
              }),
              test::exits_with_2,
              "fatal error: no goroutines \\(main called goexit\\) - deadlock!");
  EXPECT_EXIT(run([] { runnel::goexit(); }), test::exits_with_2, "fatal error: no goroutines");
}

TEST_F(goexit_in_own_process, of_main_runs_its_destructors) {
  struct finishes {
    // Not exit: the unwinding that we are part of would be reported as a leak.
    ~finishes() { _exit(0); }
  };
  EXPECT_EXIT(run([] {
                finishes guard;
                runnel::goexit();
              }),
              test::succeeds, "");
}

TEST_F(goexit_in_own_process, an_exception_that_leaves_a_goroutine_ends_the_program) {
  EXPECT_EXIT(run([] {
                runnel::go([] { throw std::runtime_error("nobody catches this"); });
                runnel::sleep(1h);
              }),
              test::exits_with_2,
              "panic: std::runtime_error: nobody catches this(.|\n)*goroutine [0-9]+");
  EXPECT_EXIT(run([] {
                runnel::go([] { throw 5; });
                runnel::sleep(1h);
              }),
              test::exits_with_2, "panic: ");
}

}  // namespace
