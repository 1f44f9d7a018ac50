// The documentation of package time on Ticker, as of Go 1.23.

#include <runnel/select.h>
#include <runnel/time.h>

#include "programs/conformance.h"

namespace {

using namespace std::chrono_literals;
using conformance::background, conformance::let_others_run, conformance::panic_of;
using runnel::chan_errc, runnel::make_chan, runnel::recv, runnel::select, runnel::time_point;
using test::clock;

const auto empty = std::unexpected(chan_errc::empty);  // open, with nothing to receive

void pass(clock::duration d) {
  runnel::sleep(d);
  let_others_run();
}

CONFORMANCE(tickers);

// NewTicker: it sends the current time on its channel after each tick; the period is the duration.
TEST_P(tickers, send_the_current_time_after_each_period) {
  run([] {
    constexpr auto period = 1ms;
    auto begin = clock::now();
    runnel::ticker t(period);
    for (int i = 1; i <= 10; ++i) {
      auto got = t.c().recv();
      ASSERT_TRUE(got.has_value());
      EXPECT_GE(*got, begin + i * period);
      EXPECT_LE(*got, clock::now());
    }
    t.stop();
  });
}

// NewTicker: it drops ticks to make up for slow receivers: one waits for them at most.
TEST_P(tickers, drop_ticks_to_make_up_for_slow_receivers) {
  run([] {
    runnel::ticker t(1ms);
    pass(20ms);
    auto before = clock::now();
    EXPECT_TRUE(t.c().try_recv().has_value());
    EXPECT_GE(*t.c().recv(), before);  // the next one came later: those between are gone
    t.stop();
  });
}

// NewTicker: the interval is kept after that: no burst makes up for what was dropped.
TEST_P(tickers, keep_their_period_after_dropping_ticks) {
  run([] {
    constexpr auto period = 1ms;
    runnel::ticker t(period);
    pass(10ms);
    t.c().recv();
    auto first = *t.c().recv();
    auto later = first;
    for (int i = 0; i < 10; ++i) later = *t.c().recv();
    EXPECT_GT(later - first, 8 * period);  // the first may have come late by part of a period
    t.stop();
  });
}

// NewTicker: the duration must be greater than zero; if not, it panics.
TEST_P(tickers, panic_when_made_with_a_duration_that_is_not_positive) {
  run([] {
    EXPECT_NE(panic_of([] { runnel::ticker t(0s); }), "none");
    EXPECT_NE(panic_of([] { runnel::ticker t(-1s); }), "none");
  });
}

// Ticker.Stop: turns it off: no more ticks will be sent.
TEST_P(tickers, send_no_more_ticks_after_stop) {
  run([] {
    runnel::ticker t(200us);
    t.c().recv();
    t.stop();
    pass(3ms);
    EXPECT_EQ(t.c().try_recv(), empty);
    t.stop();
  });
}

// Since Go 1.23: nor one that was prepared before the stop.
TEST_P(tickers, never_deliver_a_stale_tick_after_stop) {
  run([] {
    for (int i = 0; i < 20; ++i) {
      runnel::ticker t(100us);
      pass(50us * (i % 8));
      t.stop();
      ASSERT_EQ(t.c().try_recv(), empty);
    }
  });
}

// Ticker.Stop: does not close the channel, so that nobody takes that for a tick.
TEST_P(tickers, that_are_stopped_do_not_close_their_channel) {
  run([] {
    runnel::ticker t(1h);
    auto quit = make_chan<int>();
    background receiver([&] { EXPECT_EQ(select(recv(t.c()), recv(quit)), 1U); });
    t.stop();
    EXPECT_EQ(t.c().try_recv(), empty);
    EXPECT_TRUE(receiver.stays_blocked());
    quit.close();
    EXPECT_TRUE(receiver.ends());
  });
}

// Ticker.Reset: stops it and sets its period; the next tick arrives after the new period.
TEST_P(tickers, that_are_reset_tick_after_the_new_period) {
  run([] {
    runnel::ticker t(1h);
    auto begin = clock::now();
    t.reset(2ms);
    for (int i = 1; i <= 3; ++i) EXPECT_GE(*t.c().recv(), begin + i * 2ms);
    t.reset(1h);
    pass(5ms);
    EXPECT_EQ(t.c().try_recv(), empty);
  });
}

// The same of one that was stopped.
TEST_P(tickers, that_were_stopped_tick_again_after_reset) {
  run([] {
    runnel::ticker t(1h);
    t.stop();
    t.reset(100us);
    EXPECT_TRUE(t.c().recv_for(30s).has_value());
    EXPECT_TRUE(t.c().recv_for(30s).has_value());
  });
}

// Ticker.Reset: the duration must be greater than zero; if not, it panics.
TEST_P(tickers, panic_when_reset_with_a_duration_that_is_not_positive) {
  run([] {
    runnel::ticker t(1h);
    EXPECT_NE(panic_of([&] { t.reset(0s); }), "none");
    EXPECT_NE(panic_of([&] { t.reset(-1ns); }), "none");
  });
}

// Since Go 1.23: no tick that was prepared before a reset is received after it.
TEST_P(tickers, never_deliver_a_stale_tick_after_reset) {
  run([] {
    for (int i = 0; i < 20; ++i) {
      runnel::ticker t(100us);
      pass(50us * (i % 8));
      auto begin = clock::now();
      t.reset(500us);
      ASSERT_GE(*t.c().recv(), begin + 500us);
    }
  });
}

// Since Go 1.23: the channel is synchronous, so its len and cap are 0, tick or not.
TEST_P(tickers, have_an_unbuffered_channel) {
  run([] {
    runnel::ticker t(100us);
    EXPECT_EQ(t.c().cap(), 0U);
    EXPECT_EQ(t.c().len(), 0U);
    pass(1ms);
    EXPECT_EQ(t.c().cap(), 0U);
    EXPECT_EQ(t.c().len(), 0U);
    EXPECT_TRUE(t.c().try_recv().has_value());
  });
}

// Since Go 1.23: one that is no longer referred to is given up, without having been stopped.
TEST_P(tickers, may_be_given_up_without_stop) {
  run([] {
    for (int i = 0; i < 100; ++i) {
      runnel::ticker t(10us);
      if (i % 10 == 0) t.c().recv();
    }
    pass(1ms);
    EXPECT_EQ(runnel::num_goroutine(), 1U);
  });
}

}  // namespace
