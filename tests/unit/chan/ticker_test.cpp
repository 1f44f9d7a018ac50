// Tickers.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <limits>
#include <optional>
#include <string>
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
using runnel::ticker;
using runnel::time_point;

const auto empty = std::unexpected(chan_errc::empty);

template <class F>
void on_a_goroutine_and_on_a_thread(F f) {
  run({.max_procs = 2}, [&] {
    f();
    runnel::blocking([&] { std::thread(f).join(); });
  });
}

template <class F>
std::string panic_of(F f) {
  try {
    f();
  } catch (const runnel::runtime_error& e) {
    return e.what();
  }
  return "none";
}

TEST(ticker, panics_unless_its_period_is_positive) {
  for (auto d : {0ns, -1ns, std::chrono::nanoseconds::min()}) {
    EXPECT_EQ(panic_of([=] { ticker t(d); }), "non-positive interval for NewTicker");
    ticker t(1h);
    EXPECT_EQ(panic_of([&] { t.reset(d); }), "non-positive interval for Ticker.Reset");
  }
}

TEST(ticker, whose_reset_panics_goes_on_as_before) {
  run([] {
    ticker t(1ms);
    EXPECT_THROW(t.reset(0s), runnel::runtime_error);
    EXPECT_TRUE(t.c().recv());
    EXPECT_TRUE(t.c().recv());
  });
}

TEST(ticker, sends_times_that_are_multiples_of_its_period_apart) {
  on_a_goroutine_and_on_a_thread([] {
    constexpr auto period = 500us;
    auto before = test::clock::now();
    ticker t(period);
    auto after = test::clock::now();
    time_point first = *t.c().recv();
    EXPECT_TRUE(before + period <= first && first <= after + period);
    time_point last = first;
    for (int i = 0; i < 10; ++i) {
      time_point next = *t.c().recv();
      EXPECT_LE(next, test::clock::now());
      EXPECT_GT(next, last);
      EXPECT_EQ((next - first) % period, 0ns);
      last = next;
    }
  });
}

TEST(ticker, drops_the_ticks_that_nobody_has_received) {
  on_a_goroutine_and_on_a_thread([] {
    constexpr auto period = 1ms;
    ticker t(period);
    time_point first = *t.c().recv();
    auto before = test::clock::now();
    runnel::sleep(10 * period);
    auto looked = test::clock::now();
    // One was kept, the first of those; then come those that are still to come.
    EXPECT_LE(*t.c().recv(), before + period);
    time_point next = *t.c().recv();
    EXPECT_GT(next, looked - period);
    EXPECT_EQ((next - first) % period, 0ns);
  });
}

TEST(ticker, gives_one_tick_at_a_time_to_those_who_only_look) {
  run([] {
    ticker t(1h);
    EXPECT_EQ(t.c().try_recv(), empty);
    t.reset(2ms);
    runnel::sleep(3ms);
    EXPECT_TRUE(t.c().try_recv());
    t.reset(1h);
    EXPECT_EQ(t.c().try_recv(), empty);
  });
}

TEST(ticker, has_a_channel_that_looks_unbuffered) {
  on_a_goroutine_and_on_a_thread([] {
    ticker t(1us);
    runnel::sleep(1ms);
    EXPECT_EQ(t.c().len(), 0u);
    EXPECT_EQ(t.c().cap(), 0u);
    EXPECT_EQ(t.c(), ticker(t).c());
  });
}

TEST(ticker, sends_nothing_after_stop) {
  on_a_goroutine_and_on_a_thread([] {
    for (auto d : {1us, 100us, 1000us}) {
      ticker t(d);
      EXPECT_TRUE(t.c().recv());
      runnel::sleep(2 * d);
      t.stop();
      EXPECT_EQ(t.c().try_recv(), empty);
      EXPECT_EQ(t.c().recv_for(3 * d), std::unexpected(chan_errc::timeout));
      t.stop();
    }
  });
}

TEST(ticker, ticks_with_the_new_period_after_reset) {
  on_a_goroutine_and_on_a_thread([] {
    ticker t(1us);
    runnel::sleep(1ms);
    auto before = test::clock::now();
    t.reset(2ms);
    auto after = test::clock::now();
    time_point first = *t.c().recv();
    EXPECT_TRUE(before + 2ms <= first && first <= after + 2ms);
    EXPECT_EQ((*t.c().recv() - first) % 2ms, 0ns);
    t.stop();
    t.reset(1ms);
    EXPECT_TRUE(t.c().recv());
  });
}

TEST(ticker, wakes_those_who_wait_one_per_tick) {
  run({.max_procs = 1}, [] {
    ticker t(1ms);
    std::vector<time_point> ticks;
    test::waiting_goroutines others;
    for (int i = 0; i < 5; ++i) others.go([&] { ticks.push_back(*t.c().recv()); });
    others.wait();
    ASSERT_EQ(ticks.size(), 5u);
    for (std::size_t i = 1; i < 5; ++i) EXPECT_GT(ticks[i], ticks[i - 1]);
    EXPECT_EQ(test::timers_in_heaps(), 0u);
  });
}

TEST(ticker, whose_handles_are_gone_leaves_nothing_behind) {
  run({.max_procs = 2}, [] {
    std::size_t before = test::bytes_allocated();
    for (int i = 0; i < test::scaled(20'000); ++i) {
      ticker t(1us);
      if (i % 8 == 0) (void)t.c().try_recv();
      if (i % 64 == 0) (void)t.c().recv();
    }
    if (!test::sanitized) {
      EXPECT_LT(test::bytes_allocated(), before + (1u << 18));
    }
    EXPECT_EQ(test::timers_in_heaps(), 0u);
  });
}

TEST(ticker, can_be_ranged_over) {
  run([] {
    ticker t(100us);
    int n = 0;
    for (time_point tick : t.c()) {
      EXPECT_LE(tick, test::clock::now());
      if (++n == 5) break;
    }
  });
}

TEST(ticker, of_a_period_that_is_hardly_finite_does_not_overflow) {
  run([] {
    for (auto d : {std::chrono::nanoseconds::max(), std::chrono::nanoseconds(1)}) {
      ticker t(d);
      if (d == 1ns) {
        EXPECT_TRUE(t.c().recv());
      } else {
        EXPECT_EQ(t.c().recv_for(1ms), std::unexpected(chan_errc::timeout));
      }
      t.reset(std::chrono::hours::max());
      EXPECT_EQ(t.c().recv_for(1ms), std::unexpected(chan_errc::timeout));
    }
  });
}

TEST(ticker, of_less_than_a_nanosecond_is_positive) {
  run([] {
    ticker t(std::chrono::duration<double, std::nano>(0.25));
    EXPECT_TRUE(t.c().recv());
    EXPECT_TRUE(t.c().recv());
  });
}

TEST(ticker, may_be_stopped_and_reset_while_others_receive) {
  for (int procs : {1, 2, 8}) {
    run({.max_procs = procs}, [] {
      ticker t(10us);
      std::atomic<bool> stop{false};
      std::atomic<long> ticks{0};
      runnel::wait_group wg;
      for (int k = 0; k < 4; ++k) {
        wg.go([&] {
          while (!stop) ticks += select(recv(t.c()), runnel::timeout(200us)) == 0;
        });
      }
      for (int i = 0; i < test::scaled(2000); ++i) {
        if (i % 3 == 0) t.stop();
        t.reset(1us * (1 + i % 20));
        if (i % 16 == 0) runnel::yield();
      }
      t.reset(10us);
      EXPECT_TRUE(test::eventually([&, seen = ticks.load()] { return ticks > seen + 3; }));
      stop = true;
      wg.wait();
      t.stop();
      EXPECT_EQ(t.c().try_recv(), empty);
      EXPECT_EQ(test::timers_in_heaps(), 0u);
    });
  }
}

}  // namespace
