// after_func: a function that a goroutine of its own calls later.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "runnel/runnel.h"
#include "support/counted.h"
#include "support/scale.h"
#include "support/timers_left.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::after_func;
using runnel::after_func_timer;
using runnel::run;

TEST(after_func, calls_f_on_a_goroutine_of_its_own_after_the_time) {
  run([] {
    auto called = runnel::make_chan<std::uint64_t>();
    auto begin = test::clock::now();
    after_func(1ms, [=] { called.send(runnel::goroutine_id()); });
    std::uint64_t id = *called.recv();
    EXPECT_GE(test::clock::now(), begin + 1ms);
    EXPECT_NE(id, 0u);
    EXPECT_NE(id, runnel::goroutine_id());
  });
}

TEST(after_func, of_no_or_negative_time_calls_f_soon) {
  run([] {
    auto called = runnel::make_chan<int>();
    after_func(0s, [=] { called.send(1); });
    EXPECT_EQ(called.recv(), 1);
    after_func(-1h, [=] { called.send(2); });
    EXPECT_EQ(called.recv(), 2);
  });
}

TEST(after_func, of_the_longest_time_does_not_overflow) {
  run([] {
    auto t = after_func(std::chrono::hours::max(), [] { ADD_FAILURE(); });
    EXPECT_TRUE(t.reset(std::chrono::nanoseconds::max()));
    runnel::sleep(1ms);
    EXPECT_TRUE(t.stop());
  });
}

TEST(after_func, may_be_started_by_a_plain_thread) {
  run({.max_procs = 1}, [] {
    auto called = runnel::make_chan<bool>();
    std::thread([=] { after_func(1ms, [=] { called.send(runnel::goroutine_id() != 0); }); }).join();
    EXPECT_EQ(called.recv(), true);
  });
}

TEST(after_func, started_before_there_is_a_run_is_called_in_the_run) {
  auto called = runnel::make_chan<int>();
  after_func(0s, [=] { called.send(1); });
  run([=] { EXPECT_EQ(called.recv(), 1); });
}

TEST(after_func, lets_f_wait_and_panic_like_any_goroutine) {
  run([] {
    auto ch = runnel::make_chan<int>();
    after_func(0s, [=] {
      ch.send(*ch.recv() + 1);
      runnel::goexit();
    });
    ch.send(1);
    EXPECT_EQ(ch.recv(), 2);
  });
}

TEST(after_func, stopped_in_time_never_calls_f) {
  run([] {
    auto t = after_func(1ms, [] { ADD_FAILURE(); });
    EXPECT_TRUE(t.stop());
    EXPECT_FALSE(t.stop());
    EXPECT_EQ(test::timers_in_heaps(), 0u);
    runnel::sleep(3ms);
  });
}

TEST(after_func, stopped_after_the_call_says_so) {
  run([] {
    auto called = runnel::make_chan<int>();
    auto t = after_func(0s, [=] { called.send(1); });
    called.recv();
    EXPECT_FALSE(t.stop());
  });
}

TEST(after_func, is_stopped_without_waiting_for_f) {
  run([] {
    auto step = runnel::make_chan<int>();
    auto t = after_func(0s, [=] {
      step.send(1);
      step.send(2);
    });
    step.recv();
    EXPECT_FALSE(t.stop());
    EXPECT_EQ(step.recv(), 2);
  });
}

TEST(after_func, still_calls_f_when_its_handles_are_gone) {
  run([] {
    auto called = runnel::make_chan<int>();
    {
      auto t = after_func(1ms, [=] { called.send(1); });
      auto copy = t;
      auto moved = std::move(t);
      copy = moved;
    }
    EXPECT_EQ(called.recv(), 1);
    EXPECT_EQ(test::timers_in_heaps(), 0u);
  });
}

TEST(after_func, reset_in_time_calls_f_at_the_new_time_only) {
  run([] {
    std::atomic<int> calls{0};
    auto begin = test::clock::now();
    auto t = after_func(1h, [&] {
      EXPECT_GE(test::clock::now(), begin + 2ms);
      ++calls;
    });
    EXPECT_TRUE(t.reset(30min));
    EXPECT_TRUE(t.reset(2ms));
    EXPECT_TRUE(test::eventually([&] { return calls == 1; }));
    EXPECT_FALSE(t.stop());
    runnel::sleep(3ms);
    EXPECT_EQ(calls, 1);
  });
}

TEST(after_func, reset_after_the_call_or_after_stop_calls_f_again) {
  run([] {
    auto called = runnel::make_chan<int>();
    auto t = after_func(0s, [=, n = 0]() mutable { called.send(++n); });
    for (int i = 1; i <= 3; ++i) {
      EXPECT_EQ(called.recv(), i);
      EXPECT_FALSE(t.reset(1h));
      EXPECT_TRUE(t.stop());
      EXPECT_FALSE(t.reset(0s));
    }
    EXPECT_EQ(called.recv(), 4);
  });
}

TEST(after_func, takes_a_function_that_can_only_be_moved) {
  run([] {
    auto called = runnel::make_chan<int>();
    after_func(0s, [called, p = std::make_unique<int>(7)] { called.send(*p); });
    EXPECT_EQ(called.recv(), 7);
  });
}

TEST(after_func, destroys_what_f_has_captured_once_after_the_call) {
  test::no_counted_left check;
  run([] {
    auto called = runnel::make_chan<int>();
    long before = test::counted::alive();
    after_func(0s, [called, c = test::counted(3)] { called.send(c.value()); });
    EXPECT_EQ(called.recv(), 3);
    EXPECT_TRUE(test::eventually([=] { return test::counted::alive() == before; }));
  });
}

TEST(after_func, destroys_what_f_has_captured_when_it_is_stopped_and_dropped) {
  test::no_counted_left check;
  run([] {
    long before = test::counted::alive();
    {
      auto t = after_func(1h, [c = test::counted(3)] { ADD_FAILURE(); });
      EXPECT_TRUE(t.stop());
      EXPECT_EQ(test::counted::alive(), before + 1);
    }
    EXPECT_EQ(test::counted::alive(), before);
  });
}

TEST(after_func, keeps_what_f_has_captured_as_long_as_a_handle_may_reset_it) {
  test::no_counted_left check;
  run([] {
    auto called = runnel::make_chan<int>();
    auto t = after_func(0s, [called, c = test::counted(3)] { called.send(c.value()); });
    EXPECT_EQ(called.recv(), 3);
    t.reset(0s);
    EXPECT_EQ(called.recv(), 3);
  });
}

TEST(after_func, that_is_stopped_or_not_calls_f_never_or_once) {
  test::no_counted_left check;
  for (int procs : {1, 4}) {
    run({.max_procs = procs}, [] {
      long before = test::counted::alive();
      for (int i = 0; i < test::scaled(3000); ++i) {
        auto calls = std::make_shared<std::atomic<int>>(0);
        bool stopped;
        {
          auto t =
              after_func(1us * (i % 40), [calls, c = test::counted(1)] { *calls += c.value(); });
          if (i % 2 == 0) test::compute_for(1us * (i % 43));
          if (i % 3 == 0) runnel::yield();
          stopped = t.stop();
        }
        if (!stopped) {
          ASSERT_TRUE(test::eventually([&] { return *calls == 1; }));
        } else if (i % 16 == 0) {
          runnel::yield();
        }
        ASSERT_EQ(*calls, stopped ? 0 : 1);
      }
      EXPECT_TRUE(test::eventually([=] { return test::counted::alive() == before; }));
      EXPECT_EQ(test::timers_in_heaps(), 0u);
    });
  }
}

TEST(after_func, that_is_reset_by_many_calls_f_as_often_as_they_were_told) {
  test::no_counted_left check;
  for (int procs : {1, 4}) {
    run({.max_procs = procs}, [] {
      std::atomic<long> calls{0}, expected{1};
      {
        auto t = after_func(0s, [&, c = test::counted(1)] { calls += c.value(); });
        auto work = [&, t](int who, int count) {
          for (int i = 0; i < count; ++i) {
            if ((i + who) % 4 == 0) {
              expected -= t.stop();
            } else {
              expected += !t.reset(1us * ((i + who) % 30));
            }
            if (i % 8 == 0) runnel::yield();
          }
        };
        runnel::wait_group wg;
        for (int k = 0; k < 4; ++k) wg.go([&, k] { work(k, test::scaled(3000)); });
        std::thread plain(work, 9, test::scaled(3000));
        wg.wait();
        runnel::blocking([&] { plain.join(); });
        EXPECT_TRUE(test::eventually([&] { return calls == expected; }))
            << calls << ' ' << expected;
        EXPECT_FALSE(t.stop());
      }
      EXPECT_EQ(test::timers_in_heaps(), 0u);
    });
  }
}

TEST(after_func, a_hundred_thousand_are_all_called) {
  run({.max_procs = 4}, [] {
    const int n = test::scaled(100'000);
    std::atomic<int> calls{0};
    for (int i = 0; i < n; ++i) after_func(1us * (i % 2000), [&] { ++calls; });
    EXPECT_TRUE(test::eventually([&] { return calls == n; }));
    EXPECT_EQ(test::timers_in_heaps(), 0u);
  });
}

TEST(after_func, is_called_when_the_p_whose_heap_it_was_in_is_taken_away) {
  run({.max_procs = 8}, [] {
    std::atomic<int> calls{0};
    for (int i = 0; i < 200; ++i) {
      runnel::go([&, i] { after_func(4ms + 10us * i, [&] { ++calls; }); });
      if (i % 16 == 0) runnel::sleep(50us);
    }
    for (int procs : {1, 3, 8, 1}) {
      runnel::max_procs(procs);
      runnel::sleep(500us);
    }
    EXPECT_TRUE(test::eventually([&] { return calls == 200; }));
  });
}

TEST(after_func, is_forgotten_with_the_run_and_can_be_reset_in_the_next) {
  std::atomic<int> calls{0};
  std::optional<after_func_timer> t;
  run([&] { t = after_func(1h, [&] { ++calls; }); });
  EXPECT_EQ(test::timers_in_heaps(), 0u);
  run([&] {
    EXPECT_FALSE(t->reset(1ms));
    EXPECT_TRUE(test::eventually([&] { return calls == 1; }));
  });
  run([&] { EXPECT_FALSE(t->stop()); });
}

TEST(after_func, forgotten_with_the_run_is_destroyed_with_its_last_handle) {
  test::no_counted_left check;
  std::optional<after_func_timer> t;
  run([&] { t = after_func(1h, [c = test::counted(1)] {}); });
  EXPECT_FALSE(t->stop());
  t.reset();
}

TEST(after_func, may_end_a_run_at_any_moment) {
  for (int round = 0; round < test::scaled(200); ++round) {
    run({.max_procs = 1 + round % 3}, [round] {
      static std::atomic<int> calls{0};
      for (int i = 0; i < 8; ++i) {
        auto t = after_func(2us * i, [] { ++calls; });
        if (i % 3 == 0) t.reset(1us * i);
      }
      test::compute_for(1us * (round % 30));
    });
    EXPECT_EQ(test::timers_in_heaps(), 0u);
  }
}

}  // namespace
