// Whose turn it is.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "runnel/runnel.h"
#include "support/scale.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::run;

// On a busy machine a goroutine may be stopped for so long that the monitor takes its turn for used up: an
// order is the runtime's when it comes about once.
template <class Attempt>
bool happens(Attempt attempt) {
  for (int i = 0; i < 50; ++i) {
    if (attempt()) return true;
  }
  return false;
}

TEST(fairness, with_one_p_the_last_spawned_begins_first_and_the_others_in_order) {
  EXPECT_TRUE(happens([] {
    return run({.max_procs = 1}, [] {
      std::vector<int> order;
      runnel::wait_group wg;
      for (int i = 0; i < 10; ++i) wg.go([&, i] { order.push_back(i); });
      wg.wait();
      return order == std::vector<int>{9, 0, 1, 2, 3, 4, 5, 6, 7, 8};
    });
  }));
}

TEST(fairness, with_one_p_those_who_yield_take_turns) {
  constexpr std::size_t n = 5, rounds = 20;
  EXPECT_TRUE(happens([] {
    return run({.max_procs = 1}, [] {
      std::vector<std::size_t> order;
      runnel::wait_group wg;
      for (std::size_t i = 0; i < n; ++i) {
        wg.go([&, i] {
          runnel::yield();  // all have begun
          for (std::size_t k = 0; k < rounds; ++k) {
            order.push_back(i);
            runnel::yield();
          }
        });
      }
      wg.wait();
      bool in_turn = order.size() == n * rounds;
      for (std::size_t i = n; i < order.size(); ++i) in_turn &= order[i] == order[i - n];
      return in_turn;
    });
  }));
}

TEST(fairness, yield_returns_when_nobody_else_waits) {
  run({.max_procs = 1}, [] {
    for (int i = 0; i < 1000; ++i) runnel::yield();
  });
}

TEST(fairness, yield_lets_a_goroutine_run_whose_timer_is_due) {
  run({.max_procs = 1}, [] {
    bool woken = false;
    runnel::go([&] {
      runnel::sleep(1ms);
      woken = true;
    });
    EXPECT_TRUE(test::eventually([&] { return woken; }));
  });
}

TEST(fairness, the_global_queue_gets_its_turn_although_the_local_one_is_never_empty) {
  run({.max_procs = 1}, [] {
    std::atomic<bool> from_outside_ran{false};
    std::atomic<long> yields{0};
    long until_it_ran = 0;
    runnel::wait_group wg;
    for (int i = 0; i < 2; ++i) {
      wg.go([&] {
        while (!from_outside_ran) {
          ++yields;
          runnel::yield();
        }
      });
    }
    while (yields < 1000) runnel::yield();
    std::thread outside([&] {
      long before = yields;
      runnel::go([&, before] {
        until_it_ran = yields - before;
        from_outside_ran = true;
      });
    });
    wg.wait();
    outside.join();
    EXPECT_TRUE(from_outside_ran);
  });
}

// Two goroutines that wake each other for ever, each putting the other in front of everybody.
struct pair_that_plays {
  runnel::mutex a, b;
  std::atomic<bool> stop{false};
  bool last = false;  // with a
  std::atomic<long> turns{0};
  runnel::wait_group wg;

  void start() {
    a.lock();
    b.lock();
    // The second alone decides when to end, so that neither waits for one that has gone.
    wg.go([this] {
      for (;;) {
        a.lock();
        if (last) break;
        ++turns;
        b.unlock();
      }
    });
    wg.go([this] {
      while (!stop) {
        a.unlock();
        b.lock();
        ++turns;
      }
      last = true;
      a.unlock();
    });
  }
};

TEST(fairness, two_who_wake_each_other_do_not_starve_the_rest) {
  run({.max_procs = 1}, [] {
    pair_that_plays pair;
    pair.start();
    runnel::yield();
    auto begin = test::clock::now();
    for (int i = 0; i < 10; ++i) runnel::yield();
    EXPECT_LT(test::clock::now() - begin, std::chrono::milliseconds(test::patience(1000)));
    EXPECT_GT(pair.turns, 0);
    pair.stop = true;
    pair.wg.wait();
  });
}

TEST(fairness, two_who_wake_each_other_do_not_starve_sleepers) {
  run({.max_procs = 1}, [] {
    pair_that_plays pair;
    pair.start();
    auto begin = test::clock::now();
    for (int i = 0; i < 5; ++i) runnel::sleep(1ms);
    EXPECT_LT(test::clock::now() - begin, std::chrono::milliseconds(test::patience(500)));
    pair.stop = true;
    pair.wg.wait();
  });
}

TEST(fairness, work_that_lies_on_one_p_is_taken_by_the_others) {
  run({.max_procs = 4}, [] {
    constexpr int n = 200;
    std::vector<int> tids(n);
    runnel::wait_group wg;
    for (int i = 0; i < n; ++i) {
      wg.go([&, i] {
        test::compute_for(100us);
        tids[i] = gettid();
      });
    }
    wg.wait();
    std::sort(tids.begin(), tids.end());
    EXPECT_GT(std::unique(tids.begin(), tids.end()) - tids.begin(), 1);
  });
}

TEST(fairness, more_goroutines_than_the_ring_holds_all_run) {
  run({.max_procs = 1}, [] {
    const int n = 100'000;
    long sum = 0;
    runnel::wait_group wg;
    for (int i = 0; i < n; ++i) wg.go([&, i] { sum += i; });
    wg.wait();
    EXPECT_EQ(sum, static_cast<long>(n) * (n - 1) / 2);
  });
}

}  // namespace
