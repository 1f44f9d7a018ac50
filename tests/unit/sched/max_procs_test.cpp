#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "runnel/runnel.h"
#include "support/death.h"
#include "support/scale.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::run;

TEST(max_procs, answers_and_changes_nothing_below_one) {
  run({.max_procs = 3}, [] {
    EXPECT_EQ(runnel::max_procs(), 3);
    EXPECT_EQ(runnel::max_procs(0), 3);
    EXPECT_EQ(runnel::max_procs(-1), 3);
    EXPECT_EQ(runnel::max_procs(), 3);
  });
}

TEST(max_procs, returns_the_previous_value) {
  run({.max_procs = 2}, [] {
    EXPECT_EQ(runnel::max_procs(5), 2);
    EXPECT_EQ(runnel::max_procs(1), 5);
    EXPECT_EQ(runnel::max_procs(), 1);
  });
}

// The most goroutines seen computing at the same time.
int most_at_once(int goroutines) {
  std::atomic<int> now{0}, most{0};
  runnel::wait_group wg;
  for (int i = 0; i < goroutines; ++i) {
    wg.go([&] {
      for (int k = 0; k < 20; ++k) {
        int n = ++now;
        for (int seen = most; n > seen && !most.compare_exchange_weak(seen, n);) {
        }
        test::compute_for(20us);
        --now;
        runnel::yield();
      }
    });
  }
  wg.wait();
  return most;
}

TEST(max_procs, one_means_one_at_a_time) {
  run({.max_procs = 4}, [] {
    runnel::max_procs(1);
    // Nobody computes for long enough to lose the P.
    int most = most_at_once(8);
    EXPECT_TRUE(most == 1 || test::sanitized) << most;
  });
}

TEST(max_procs, more_means_more_at_once) {
  run({.max_procs = 1}, [] {
    runnel::max_procs(2);
    EXPECT_TRUE(test::eventually([] { return most_at_once(8) >= 2; }));
  });
}

TEST(max_procs, timers_and_queues_survive_going_down_to_one_and_up_to_eight) {
  run({.max_procs = 8}, [] {
    std::atomic<int> early{0}, done{0};
    const int n = test::alive(2000);
    runnel::wait_group wg;
    for (int i = 0; i < n; ++i) {
      wg.go([&, i] {
        auto time = std::chrono::microseconds(100 + i * 13 % 20'000);
        auto begin = test::clock::now();
        runnel::sleep(time);
        early += test::clock::now() - begin < time;
        ++done;
      });
    }
    runnel::yield();
    for (int p : {1, 8, 2, 1, 7, 3, 1, 8}) {
      runnel::max_procs(p);
      runnel::sleep(1ms);
    }
    runnel::max_procs(1);
    wg.wait();
    EXPECT_EQ(done, n);
    EXPECT_EQ(early, 0);
  });
}

TEST(max_procs, may_change_under_load) {
  run({.max_procs = 4}, [] {
    std::atomic<bool> stop{false};
    std::atomic<long> turns{0};
    runnel::mutex mu;
    runnel::wait_group wg;
    for (int i = 0; i < 20; ++i) {
      wg.go([&, i] {
        while (!stop) {
          ++turns;
          switch (i % 5) {
            case 0: runnel::yield(); break;
            case 1: runnel::sleep(10us); break;
            case 2: runnel::blocking([] { test::compute_for(10us); }); break;
            case 3: test::compute_for(100us); break;
            default: {
              std::lock_guard hold(mu);
              runnel::yield();
            }
          }
        }
      });
    }
    for (int k = 0; k < test::scaled(300); ++k) runnel::max_procs(1 + k * 5 % 8);
    long seen = turns;
    EXPECT_TRUE(test::eventually([&] { return turns > seen + 100; }));
    stop = true;
    wg.wait();
  });
}

TEST(max_procs, may_be_changed_by_many_at_once) {
  run({.max_procs = 4}, [] {
    runnel::wait_group wg;
    for (int i = 0; i < 8; ++i) {
      wg.go([i] {
        for (int k = 0; k < test::scaled(100); ++k) runnel::max_procs(1 + (i + k) % 6);
      });
    }
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([i] {
        for (int k = 0; k < test::scaled(100); ++k) runnel::max_procs(1 + (i + k) % 5);
      });
    }
    wg.wait();
    runnel::blocking([&] {
      for (auto& t : threads) t.join();
    });
    runnel::max_procs(3);
    EXPECT_EQ(runnel::max_procs(), 3);
  });
}

TEST(max_procs, changing_does_not_wait_for_a_goroutine_that_computes_for_ever) {
  run({.max_procs = 2}, [] {
    std::atomic<bool> computing{false}, stop{false};
    runnel::wait_group wg;
    wg.go([&] {
      computing = true;
      test::compute_until([&] { return stop.load(); });
    });
    while (!computing) runnel::yield();
    auto begin = test::clock::now();
    for (int i = 0; i < 10; ++i) runnel::max_procs(1 + i % 3);
    EXPECT_LT(test::clock::now() - begin, std::chrono::milliseconds(test::patience(500)));
    EXPECT_FALSE(stop);
    stop = true;
    wg.wait();
  });
}

using max_procs_in_own_process = test::in_own_process;

TEST_F(max_procs_in_own_process, is_taken_from_the_environment) {
  with_environment("RUNNEL_MAXPROCS", "3");
  EXPECT_EXIT(test::finish(run([] { return runnel::max_procs(); }) == 3), test::succeeds, "");
  EXPECT_EXIT(test::finish(run({.max_procs = 2}, [] { return runnel::max_procs(); }) == 2),
              test::succeeds, "");
  unsetenv("RUNNEL_MAXPROCS");
}

TEST_F(max_procs_in_own_process, is_at_most_the_number_of_cpus_when_nobody_says) {
  EXPECT_EXIT(
      {
        int procs = run([] { return runnel::max_procs(); });
        test::finish(procs >= 1 && procs <= runnel::num_cpu());
      },
      test::succeeds, "");
}

}  // namespace
