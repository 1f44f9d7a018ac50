#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <vector>

#include "runnel/runnel.h"
#include "support/scale.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::run;

TEST(sleep, never_ends_early) {
  run({.max_procs = 4}, [] {
    std::atomic<int> early{0};
    runnel::wait_group wg;
    for (int i = 0; i < test::scaled(1000); ++i) {
      wg.go([&, i] {
        for (int k = 0; k < 5; ++k) {
          auto time = std::chrono::nanoseconds(1 + (i * 7919 + k * 104729) % 3'000'000);
          auto begin = test::clock::now();
          runnel::sleep(time);
          early += test::clock::now() - begin < time;
        }
      });
    }
    wg.wait();
    EXPECT_EQ(early, 0);
  });
}

TEST(sleep, until_a_point_in_time_never_ends_early) {
  run([] {
    auto until = test::clock::now() + 2ms;
    runnel::sleep_until(until);
    EXPECT_GE(test::clock::now(), until);
    runnel::sleep_until(until - 1h);
  });
}

TEST(sleep, wakes_in_the_order_of_deadlines) {
  run({.max_procs = 1}, [] {
    constexpr int n = 20;
    std::vector<int> order;
    runnel::wait_group wg;
    auto base = test::clock::now() + 20ms;
    for (int i = 0; i < n; ++i) {
      int place = i * 7 % n;
      wg.go([&, place] {
        runnel::sleep_until(base + place * 2ms);
        order.push_back(place);
      });
    }
    wg.wait();
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
    EXPECT_EQ(order.size(), std::size_t{n});
  });
}

TEST(sleep, of_no_or_negative_time_returns_without_letting_others_run) {
  run({.max_procs = 1}, [] {
    bool other_ran = false;
    runnel::go([&] { other_ran = true; });
    runnel::sleep(0s);
    runnel::sleep(-5h);
    runnel::sleep(std::chrono::nanoseconds::min());
    runnel::sleep(-0.5s);
    EXPECT_FALSE(other_ran);
    runnel::yield();
  });
}

TEST(sleep, of_the_longest_time_there_is_does_not_overflow_and_disturbs_nobody) {
  run({.max_procs = 2}, [] {
    static std::atomic<int> woken{0};
    runnel::go([] { runnel::sleep(std::chrono::nanoseconds::max()), ++woken; });
    runnel::go([] { runnel::sleep(std::chrono::hours::max()), ++woken; });
    runnel::go([] { runnel::sleep(std::chrono::duration<double>(1e300)), ++woken; });
    runnel::go([] { runnel::sleep_until(test::clock::time_point::max()), ++woken; });
    for (int i = 0; i < 20; ++i) runnel::sleep(500us);
    EXPECT_EQ(woken, 0);
  });
}

TEST(sleep, very_many_goroutines_may_sleep_at_once) {
  run([] {
    const int n = test::alive(100'000);
    std::atomic<int> woken{0};
    runnel::wait_group wg;
    for (int i = 0; i < n; ++i) {
      wg.go([&, i] {
        runnel::sleep(std::chrono::microseconds(1000 + i % 5000));
        ++woken;
      });
    }
    wg.wait();
    EXPECT_EQ(woken, n);
  });
}

TEST(sleep, ends_soon_after_its_time_when_the_machine_is_idle) {
  run({.max_procs = 2}, [] {
    std::vector<std::chrono::nanoseconds> late;
    for (int i = 0; i < 50; ++i) {
      auto until = test::clock::now() + 1ms;
      runnel::sleep_until(until);
      late.push_back(test::clock::now() - until);
    }
    std::nth_element(late.begin(), late.begin() + 25, late.end());
    EXPECT_LT(late[25], std::chrono::milliseconds(test::patience(5)));
  });
}

// The median lateness of sleeps on a runtime whose Ps are all busy computing.
std::chrono::nanoseconds lateness_beside_computations(int procs) {
  return run({.max_procs = procs}, [procs] {
    std::atomic<bool> stop{false};
    std::atomic<int> computing{0};
    runnel::wait_group wg;
    std::vector<std::chrono::nanoseconds> late;
    for (int i = 0; i < procs; ++i) {
      wg.go([&] {
        ++computing;
        test::compute_until([&] { return stop.load(); });
      });
    }
    while (computing < procs) runnel::sleep(100us);
    for (int i = 0; i < 15; ++i) {
      auto until = test::clock::now() + 1ms;
      runnel::sleep_until(until);
      late.push_back(test::clock::now() - until);
    }
    stop = true;
    wg.wait();
    std::nth_element(late.begin(), late.begin() + 7, late.end());
    return late[7];
  });
}

TEST(sleep, on_a_p_whose_goroutine_computes_ends_soon_after_the_time_slice) {
  EXPECT_LT(lateness_beside_computations(1), std::chrono::milliseconds(test::patience(30)));
}

TEST(sleep, ends_soon_after_the_time_slice_when_all_ps_compute) {
  EXPECT_LT(lateness_beside_computations(2), std::chrono::milliseconds(test::patience(60)));
}

TEST(sleep, timers_of_a_p_that_computes_fire_on_an_idle_p) {
  run({.max_procs = 2}, [] {
    // The sleeper's timer lies on the P where it went to sleep; the computation then takes that P.
    std::atomic<bool> stop{false};
    runnel::wait_group wg;
    std::vector<std::chrono::nanoseconds> late;
    for (int i = 0; i < 20; ++i) {
      std::atomic<bool> end{false};
      runnel::wait_group round;
      round.go([&] {
        auto until = test::clock::now() + 2ms;
        runnel::sleep_until(until);
        late.push_back(test::clock::now() - until);
        end = true;
      });
      runnel::yield();
      test::compute_until([&] { return end.load(); });
      round.wait();
    }
    std::nth_element(late.begin(), late.begin() + 10, late.end());
    EXPECT_LT(late[10], std::chrono::milliseconds(test::patience(20)));
  });
}

}  // namespace
