#include "runnel/sync/singleflight.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "runnel/go.h"
#include "runnel/sync/mutex.h"
#include "runnel/sync/wait_group.h"
#include "support/scale.h"
#include "support/wait.h"

namespace {

using runnel::run;
using runnel::singleflight;

// A call that is under way until it is let go.
struct held_call {
  runnel::mutex gate;
  std::atomic<bool> begun{false};
  std::atomic<int> calls{0};
  held_call() { gate.lock(); }
  void pass() {
    ++calls;
    begun = true;
    gate.lock();
    gate.unlock();
  }
  void let_go() { gate.unlock(); }
};

TEST(singleflight, returns_the_value_to_a_single_caller_unshared) {
  singleflight<std::string, int> flights;
  auto r = flights.do_("key", [] { return 42; });
  EXPECT_EQ(r.value, 42);
  EXPECT_FALSE(r.shared);
}

TEST(singleflight, calls_again_when_the_call_before_has_ended) {
  singleflight<int, int> flights;
  int calls = 0;
  for (int i = 0; i < 3; ++i) flights.do_(1, [&] { return ++calls; });
  EXPECT_EQ(calls, 3);
}

class singleflight_on : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(ps, singleflight_on, testing::Values(1, 8));

// Counts comparisons: one is made, under the lock, by everybody who finds a call under way.
struct counting_equal {
  static inline std::atomic<int> calls{0};
  bool operator()(const std::string& a, const std::string& b) const {
    ++calls;
    return a == b;
  }
};

TEST_P(singleflight_on, calls_that_overlap_share_one_execution) {
  run({.max_procs = GetParam()}, [] {
    singleflight<std::string, std::string, std::hash<std::string>, counting_equal> flights;
    held_call held;
    std::atomic<int> shared{0}, right{0};
    auto ask = [&] {
      auto r = flights.do_("key", [&] {
        held.pass();
        return std::string("a value too long for the small string buffer");
      });
      shared += r.shared;
      right += r.value == "a value too long for the small string buffer";
    };
    runnel::wait_group wg;
    wg.go(ask);
    ASSERT_TRUE(test::eventually([&] { return held.begun.load(); }));
    counting_equal::calls = 0;
    for (int i = 0; i < 8; ++i) wg.go(ask);
    std::thread plain(ask);
    ASSERT_TRUE(test::eventually([&] { return counting_equal::calls >= 9; }));
    flights.forget("another");  // takes the lock: the last of them has joined
    held.let_go();
    wg.wait();
    runnel::blocking([&] { plain.join(); });
    EXPECT_EQ(held.calls, 1);
    EXPECT_EQ(right, 10);
    EXPECT_EQ(shared, 10);
  });
}

TEST_P(singleflight_on, calls_of_different_keys_do_not_wait_for_each_other) {
  run({.max_procs = GetParam()}, [] {
    singleflight<int, int> flights;
    held_call held;
    runnel::wait_group wg;
    wg.go([&] {
      flights.do_(1, [&] {
        held.pass();
        return 1;
      });
    });
    ASSERT_TRUE(test::eventually([&] { return held.begun.load(); }));
    EXPECT_EQ(flights.do_(2, [] { return 2; }).value, 2);
    held.let_go();
    wg.wait();
  });
}

TEST(singleflight, an_exception_is_given_to_all_and_the_next_call_begins_anew) {
  run({.max_procs = 1}, [] {
    singleflight<int, int> flights;
    held_call held;
    int failed = 0;
    runnel::wait_group wg;
    for (int i = 0; i < 4; ++i) {
      wg.go([&] {
        try {
          flights.do_(1, [&]() -> int {
            held.pass();
            throw std::runtime_error("no luck");
          });
        } catch (const std::runtime_error& e) {
          failed += std::string(e.what()) == "no luck";
        }
      });
    }
    // One P: when the first is in its call and we run, the others have asked.
    for (int i = 0; i < 10; ++i) runnel::yield();
    held.let_go();
    wg.wait();
    EXPECT_EQ(failed, 4);
    EXPECT_EQ(held.calls, 1);
    EXPECT_EQ(flights.do_(1, [] { return 5; }).value, 5);
  });
}

TEST(singleflight, goexit_ends_those_who_wait_too_and_nobody_hangs) {
  run({.max_procs = 1}, [] {
    singleflight<int, int> flights;
    held_call held;
    int after = 0;
    runnel::wait_group wg;
    for (int i = 0; i < 4; ++i) {
      wg.go([&] {
        flights.do_(1, [&]() -> int {
          held.pass();
          runnel::goexit();
        });
        ++after;
      });
    }
    for (int i = 0; i < 10; ++i) runnel::yield();
    held.let_go();
    wg.wait();
    EXPECT_EQ(after, 0);
    EXPECT_EQ(held.calls, 1);
    EXPECT_EQ(flights.do_(1, [] { return 5; }).value, 5);
  });
}

TEST(singleflight, forget_makes_the_next_caller_execute_although_a_call_is_under_way) {
  run({.max_procs = 2}, [] {
    singleflight<int, int> flights;
    held_call held;
    int first = 0;
    runnel::wait_group wg;
    wg.go([&] {
      first = flights
                  .do_(1,
                       [&] {
                         held.pass();
                         return 1;
                       })
                  .value;
    });
    ASSERT_TRUE(test::eventually([&] { return held.begun.load(); }));
    flights.forget(1);
    EXPECT_EQ(flights.do_(1, [] { return 2; }).value, 2);
    held.let_go();
    wg.wait();
    EXPECT_EQ(first, 1);
  });
}

TEST(singleflight, a_forgotten_call_does_not_remove_its_successor) {
  run({.max_procs = 1}, [] {
    singleflight<int, int> flights;
    held_call one, two;
    runnel::wait_group first, second;
    first.go([&] { flights.do_(1, [&] { return one.pass(), 1; }); });
    ASSERT_TRUE(test::eventually([&] { return one.begun.load(); }));
    flights.forget(1);
    second.go([&] { flights.do_(1, [&] { return two.pass(), 2; }); });
    ASSERT_TRUE(test::eventually([&] { return two.begun.load(); }));
    one.let_go();
    first.wait();
    second.go([&] { EXPECT_EQ(flights.do_(1, [] { return 3; }).value, 2); });
    for (int i = 0; i < 10; ++i) runnel::yield();
    two.let_go();
    second.wait();
  });
}

struct counted {
  static inline std::atomic<int> alive{0};
  counted() { ++alive; }
  counted(const counted&) { ++alive; }
  ~counted() { --alive; }
};

TEST_P(singleflight_on, keeps_no_value_once_everybody_has_his) {
  run({.max_procs = GetParam()}, [] {
    singleflight<int, counted> flights;
    runnel::wait_group wg;
    for (int g = 0; g < 8; ++g) {
      wg.go([&] {
        for (int i = 0; i < test::scaled(1000); ++i) {
          flights.do_(i % 3, [] {
            runnel::yield();
            return counted();
          });
        }
      });
    }
    wg.wait();
    EXPECT_EQ(counted::alive, 0);
  });
}

}  // namespace
