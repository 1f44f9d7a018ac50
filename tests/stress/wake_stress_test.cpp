// A hunt for lost wake-ups: few goroutines and threads that wake each other in turn, so that the runtime goes
// idle between any two of them. A single lost one hangs the test.

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "runnel/runnel.h"
#include "support/scale.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::run;

// A gate that one opens and another passes, by a mutex that is handed on locked.
struct gate {
  runnel::mutex mu;
  gate() { mu.lock(); }
  void pass() { mu.lock(); }
  void open() { mu.unlock(); }
};

// Everybody passes his gate and opens the next one's, `rounds` times around. Even seats are goroutines.
void pass_round(int seats, int rounds, bool with_threads) {
  std::vector<gate> gates(seats);
  std::vector<std::thread> threads;
  runnel::wait_group wg;
  int token = 0;
  for (int i = 0; i < seats; ++i) {
    auto work = [&, i] {
      for (int r = 0; r < rounds; ++r) {
        gates[i].pass();
        ++token;
        gates[(i + 1) % seats].open();
      }
    };
    if (with_threads && i % 2 == 1) {
      threads.emplace_back(work);
    } else {
      wg.go(work);
    }
  }
  gates[0].open();
  wg.wait();
  runnel::blocking([&] {
    for (auto& t : threads) t.join();
  });
  EXPECT_EQ(token, seats * rounds);
}

class wake_stress : public testing::TestWithParam<int> {};

TEST_P(wake_stress, no_wake_up_between_goroutines_is_lost) {
  run({.max_procs = GetParam()}, [] { pass_round(3, test::scaled(100'000), false); });
}

TEST_P(wake_stress, no_wake_up_between_goroutines_and_threads_is_lost) {
  run({.max_procs = GetParam()}, [] { pass_round(4, test::scaled(10'000), true); });
}

TEST_P(wake_stress, no_spawn_from_a_thread_is_lost_while_the_runtime_goes_idle) {
  run({.max_procs = GetParam()}, [] {
    runnel::wait_group finished;
    finished.add(2);
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < test::scaled(10'000); ++i) {
          runnel::wait_group wg;
          wg.go([] {});
          // Long enough, at times, for an M to be on its way to bed.
          test::compute_for(std::chrono::nanoseconds(i * (7 + t) % 20'000));
          wg.wait();
        }
        finished.done();
      });
    }
    finished.wait();
    for (auto& t : threads) t.join();
  });
}

TEST_P(wake_stress, no_timer_is_lost_while_the_runtime_goes_idle) {
  run({.max_procs = GetParam()}, [] {
    runnel::wait_group wg;
    for (int i = 0; i < 3; ++i) {
      wg.go([i] {
        for (int k = 0; k < test::scaled(3000); ++k) {
          runnel::sleep(std::chrono::microseconds(1 + (k * (i + 3)) % 97));
        }
      });
    }
    wg.wait();
  });
}

TEST_P(wake_stress, no_wake_up_is_lost_that_races_with_a_timeout) {
  run({.max_procs = GetParam()}, [] {
    for (int i = 0; i < test::scaled(5000); ++i) {
      runnel::wait_group wg;
      wg.go([i] { test::compute_for(std::chrono::nanoseconds(i * 37 % 30'000)); });
      while (!wg.wait_for(15us)) {
      }
    }
  });
}

TEST_P(wake_stress, bursts_of_work_reach_every_idle_p_and_end) {
  run({.max_procs = GetParam()}, [] {
    for (int i = 0; i < test::scaled(3000); ++i) {
      runnel::wait_group wg;
      std::atomic<int> ran{0};
      int n = 1 + i % 17;
      for (int k = 0; k < n; ++k) {
        wg.go([&] {
          if (ran++ % 3 == 0) runnel::yield();
        });
      }
      wg.wait();
      EXPECT_EQ(ran, n);
      if (i % 4 == 0) runnel::sleep(30us);
    }
  });
}

INSTANTIATE_TEST_SUITE_P(procs, wake_stress, testing::Values(1, 2, 8),
                         [](const auto& param) { return std::to_string(param.param); });

}  // namespace
