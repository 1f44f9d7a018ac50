// One timer: when it fires, what stop and reset answer, and what it leaves behind.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>
#include <vector>

#include "runnel/runnel.h"
#include "support/scale.h"
#include "support/timers_left.h"
#include "support/wait.h"
#include "support/waiting.h"

namespace {

using namespace std::chrono_literals;
using runnel::chan_errc;
using runnel::recv;
using runnel::run;
using runnel::select;
using runnel::time_point;
using runnel::timer;

const auto empty = std::unexpected(chan_errc::empty);

template <class F>
void on_a_goroutine_and_on_a_thread(F f) {
  run({.max_procs = 2}, [&] {
    f();
    runnel::blocking([&] { std::thread(f).join(); });
  });
}

TEST(timer, sends_the_time_at_which_it_was_due) {
  on_a_goroutine_and_on_a_thread([] {
    for (auto d : {0us, 1us, 300us, 2000us}) {
      auto before = test::clock::now();
      timer t(d);
      auto after = test::clock::now();
      runnel::sleep(d / 2);
      auto got = t.c().recv();
      EXPECT_GE(test::clock::now(), before + d);
      EXPECT_TRUE(before + d <= *got && *got <= after + d);
    }
  });
}

TEST(timer, of_negative_time_is_due_at_once) {
  on_a_goroutine_and_on_a_thread([] {
    for (auto d : {-1ns, std::chrono::nanoseconds::min()}) {
      timer t(d);
      EXPECT_TRUE(t.c().try_recv());
      EXPECT_FALSE(t.c().try_recv());
      EXPECT_TRUE(timer(d).c().recv());
    }
  });
}

TEST(timer, of_the_longest_time_does_not_overflow) {
  on_a_goroutine_and_on_a_thread([] {
    timer t(std::chrono::hours::max());
    EXPECT_EQ(t.c().try_recv(), empty);
    EXPECT_EQ(t.c().recv_for(1ms), std::unexpected(chan_errc::timeout));
    EXPECT_TRUE(t.reset(std::chrono::nanoseconds::max()));
    EXPECT_EQ(t.c().try_recv(), empty);
    EXPECT_TRUE(t.stop());
  });
}

TEST(timer, always_has_the_same_channel_which_looks_unbuffered) {
  on_a_goroutine_and_on_a_thread([] {
    timer t(0s);
    EXPECT_EQ(t.c(), timer(t).c());
    EXPECT_EQ(t.c().cap(), 0u);
    EXPECT_EQ(t.c().len(), 0u);
    // Also with a value on its way: somebody has waited for it, and gone.
    t.reset(1ms);
    EXPECT_EQ(select(recv(t.c()), runnel::timeout(0s)), 1u);
    runnel::sleep(2ms);
    EXPECT_EQ(t.c().len(), 0u);
  });
}

TEST(timer, fires_once) {
  on_a_goroutine_and_on_a_thread([] {
    timer t(1ms);
    EXPECT_TRUE(t.c().recv());
    EXPECT_EQ(t.c().recv_for(3ms), std::unexpected(chan_errc::timeout));
  });
}

TEST(timer, stopped_in_time_never_fires) {
  on_a_goroutine_and_on_a_thread([] {
    timer t(1ms);
    EXPECT_TRUE(t.stop());
    EXPECT_FALSE(t.stop());
    EXPECT_EQ(t.c().recv_for(3ms), std::unexpected(chan_errc::timeout));
  });
}

TEST(timer, stopped_when_its_value_waits_to_be_received_drops_it) {
  on_a_goroutine_and_on_a_thread([] {
    timer t(0s);
    EXPECT_TRUE(t.stop());
    EXPECT_EQ(t.c().try_recv(), empty);
    EXPECT_FALSE(t.stop());
  });
}

TEST(timer, stopped_after_its_value_was_received_says_so) {
  on_a_goroutine_and_on_a_thread([] {
    timer t(0s);
    EXPECT_TRUE(t.c().recv());
    EXPECT_FALSE(t.stop());
    EXPECT_FALSE(t.reset(0s));
    EXPECT_TRUE(t.c().recv());
  });
}

TEST(timer, reset_drops_the_value_of_before) {
  on_a_goroutine_and_on_a_thread([] {
    timer t(0s);
    EXPECT_TRUE(t.reset(1h));
    EXPECT_EQ(t.c().try_recv(), empty);
    EXPECT_TRUE(t.reset(2ms));
    auto set = test::clock::now();
    auto got = t.c().recv();
    EXPECT_GE(*got + 1us, set + 1ms);
    EXPECT_FALSE(t.reset(1h));
    EXPECT_TRUE(t.stop());
    EXPECT_FALSE(t.reset(0s));
    EXPECT_TRUE(t.c().try_recv());
  });
}

TEST(timer, reset_while_somebody_waits_moves_the_end_of_the_wait) {
  run({.max_procs = 2}, [] {
    for (auto [first, then] : {std::pair{1h + 0ms, 1ms}, std::pair{5ms + 0h, 10ms}}) {
      timer t(first);
      auto begin = test::clock::now();
      std::optional<time_point> got;
      test::waiting_goroutines others;
      others.go([&] { got = t.c().recv(); });
      bool pending = t.reset(then);
      others.wait();
      if (pending) {
        EXPECT_GE(*got, begin + then);
      }
    }
  });
}

TEST(timer, stopped_while_somebody_waits_keeps_him_waiting_until_it_is_reset) {
  run({.max_procs = 2}, [] {
    timer t(2ms);
    std::atomic<bool> received{false};
    test::waiting_goroutines others;
    others.go([&] {
      t.c().recv();
      received = true;
    });
    if (t.stop()) {
      EXPECT_EQ(test::timers_in_heaps(), 0u);
      runnel::sleep(4ms);
      EXPECT_FALSE(received);
      EXPECT_FALSE(t.reset(0s));
    }
    others.wait();
  });
}

TEST(timer, gives_its_value_to_the_first_who_waits) {
  run({.max_procs = 1}, [] {
    timer t(2ms);
    std::vector<int> order;
    test::waiting_goroutines others;
    for (int i = 0; i < 3; ++i) {
      others.go([&, i] {
        t.c().recv();
        order.push_back(i);
        t.reset(0s);
      });
    }
    others.wait();
    EXPECT_EQ(order, (std::vector{0, 1, 2}));
  });
}

TEST(timer, whose_value_is_another_receivers_does_not_hold_up_a_select) {
  run({.max_procs = 1}, [] {
    timer t(1h);
    test::waiting_goroutines others;
    others.go([&] { EXPECT_TRUE(t.c().recv()); });
    t.reset(1ms);
    // Due, and the callback has not run: the one P is ours.
    test::compute_for(3ms);
    EXPECT_EQ(select(recv(t.c()), runnel::otherwise), 1u);
    EXPECT_FALSE(t.c().try_recv());
    others.wait();
  });
}

TEST(timer, twice_in_a_select_is_received_once) {
  run({.max_procs = 2}, [] {
    for (int i = 0; i < test::scaled(200); ++i) {
      timer t(20us * (i % 8));
      EXPECT_LE(select(recv(t.c()), recv(t.c())), 1u);
      EXPECT_EQ(t.c().try_recv(), empty);
      EXPECT_FALSE(t.stop());
    }
    EXPECT_EQ(test::timers_in_heaps(), 0u);
  });
}

TEST(timer, is_in_a_heap_only_while_somebody_waits) {
  run({.max_procs = 2}, [] {
    timer t(1h);
    EXPECT_EQ(test::timers_in_heaps(), 0u);
    {
      // A deadline of its own, and the timer's.
      test::waiting_goroutines others;
      others.go([&] { EXPECT_FALSE(t.c().recv_for(5ms)); });
      EXPECT_GE(test::timers_in_heaps(), 1u);
      others.wait();
    }
    EXPECT_EQ(test::timers_in_heaps(), 0u);
    EXPECT_EQ(select(recv(t.c()), runnel::timeout(1ms)), 1u);
    EXPECT_EQ(test::timers_in_heaps(), 0u);
    auto ready = runnel::make_chan<int>();
    runnel::go([=] { ready.send(1); });
    EXPECT_EQ(select(recv(t.c()), recv(ready)), 1u);
    EXPECT_EQ(test::timers_in_heaps(), 0u);
    EXPECT_TRUE(t.stop());
  });
}

TEST(timer, waited_for_by_several_leaves_the_heap_with_the_last_of_them) {
  run({.max_procs = 2}, [] {
    timer t(1h);
    auto leave = runnel::make_chan<int>();
    test::waiting_goroutines others;
    for (int i = 0; i < 5; ++i) others.go([&] { select(recv(t.c()), recv(leave)); });
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(test::timers_in_heaps(), 1u);
      leave.send(1);
      if (i == 4) others.wait();
    }
    EXPECT_EQ(test::timers_in_heaps(), 0u);
  });
}

TEST(timer, a_million_made_and_stopped_leave_nothing) {
  run({.max_procs = 2}, [] {
    const int n = test::scaled(1'000'000);
    std::size_t before = test::bytes_allocated();
    for (int i = 0; i < n; ++i) {
      timer t(1h);
      ASSERT_TRUE(t.stop());
    }
    if (!test::sanitized) {
      EXPECT_LT(test::bytes_allocated(), before + (1u << 20));
    }
    EXPECT_EQ(test::timers_in_heaps(), 0u);
  });
}

TEST(timer, a_hundred_thousand_alive_at_once_fire_at_their_times) {
  run({.max_procs = 2}, [] {
    const int n = test::scaled(100'000);
    auto begin = test::clock::now();
    std::vector<timer> all;
    for (int i = 0; i < n; ++i) all.emplace_back(1us * (i % 1000));
    for (int i = 0; i < n; ++i) {
      if (i % 3 == 0) {
        EXPECT_TRUE(all[static_cast<std::size_t>(i)].stop());
      } else {
        EXPECT_GE(*all[static_cast<std::size_t>(i)].c().recv(), begin + 1us * (i % 1000));
      }
    }
    EXPECT_EQ(test::timers_in_heaps(), 0u);
  });
}

TEST(timer, ends_the_waits_of_many_who_all_wait_for_timers_of_their_own) {
  run({.max_procs = 4}, [] {
    std::atomic<int> early{0};
    runnel::wait_group wg;
    for (int i = 0; i < test::alive(5000); ++i) {
      wg.go([&, i] {
        auto begin = test::clock::now();
        auto d = 10us * (i % 500);
        timer(d).c().recv();
        early += test::clock::now() < begin + d;
      });
    }
    wg.wait();
    EXPECT_EQ(early, 0);
    EXPECT_EQ(test::timers_in_heaps(), 0u);
  });
}

TEST(timer, never_gives_a_value_of_before_a_reset_that_races_with_its_firing) {
  for (int procs : {1, 4}) {
    run({.max_procs = procs}, [] {
      for (int i = 0; i < test::scaled(3000); ++i) {
        auto d = 1us * (i % 50);
        timer t(d);
        std::atomic<bool> waits{false};
        std::optional<time_point> got;
        runnel::wait_group wg;
        wg.go([&] {
          waits = true;
          got = t.c().recv();
        });
        while (!waits) runnel::yield();
        test::compute_for(1us * (i % 53));
        auto set = test::clock::now();
        bool pending = t.reset(100us);
        wg.wait();
        // It was received before the reset, or is the one of after it.
        ASSERT_EQ(pending, *got >= set + 100us);
        if (pending) {
          ASSERT_FALSE(t.stop());
        } else {
          ASSERT_TRUE(t.stop());
        }
        ASSERT_EQ(t.c().try_recv(), empty);
      }
    });
  }
}

TEST(timer, is_either_stopped_or_received) {
  for (int procs : {1, 4}) {
    run({.max_procs = procs}, [] {
      auto enough = runnel::make_chan<int>();
      for (int i = 0; i < test::scaled(3000); ++i) {
        timer t(1us * (i % 50));
        std::atomic<int> received{0};
        runnel::wait_group wg;
        wg.go([&] {
          select(recv(t.c(), [&](std::optional<time_point>) { ++received; }), recv(enough));
        });
        test::compute_for(1us * (i % 53));
        if (i % 2 != 0) runnel::yield();
        bool stopped = t.stop();
        ASSERT_EQ(t.c().try_recv(), empty);
        if (stopped) enough.send(1);
        wg.wait();
        ASSERT_EQ(received, stopped ? 0 : 1);
      }
      EXPECT_EQ(test::timers_in_heaps(), 0u);
    });
  }
}

}  // namespace
