// The documentation of package time on Sleep, Timer, After, AfterFunc and Ticker, as of Go 1.23.

#include <runnel/select.h>
#include <runnel/time.h>

#include <vector>

#include "programs/conformance.h"

namespace {

using namespace std::chrono_literals;
using conformance::background, conformance::let_others_run, conformance::times;
using runnel::chan_errc, runnel::make_chan, runnel::recv, runnel::select, runnel::time_point;
using test::clock;

const auto empty = std::unexpected(chan_errc::empty);  // open, with nothing to receive

// Lets the clock run past the given time, and with it every timer that is due before.
void pass(time_point t) {
  runnel::sleep_until(t);
  let_others_run();
}
void pass(clock::duration d) { pass(clock::now() + d); }

CONFORMANCE(sleep_function);

// Sleep: pauses the goroutine for at least the duration.
TEST_P(sleep_function, pauses_for_at_least_the_duration) {
  run([] {
    for (auto d : {1ns, 1'000ns, 500'000ns, 3'000'000ns}) {
      auto begin = clock::now();
      runnel::sleep(d);
      EXPECT_GE(clock::now() - begin, d);
    }
  });
}

// Sleep: and only that goroutine.
TEST_P(sleep_function, pauses_only_the_goroutine_that_calls_it) {
  run([] {
    std::atomic<bool> stop{false};
    std::atomic<long> steps{0};
    background other([&] {
      while (!stop) ++steps, runnel::yield();
    });
    EXPECT_TRUE(test::eventually([&] { return steps > 0; }));
    long before = steps;
    runnel::sleep(5ms);
    EXPECT_GT(steps, before);
    stop = true;
    EXPECT_TRUE(other.ends());
  });
}

// Sleep: zero or a negative duration returns immediately.
TEST_P(sleep_function, returns_at_once_for_zero_or_a_negative_duration) {
  run([] {
    auto begin = clock::now();
    runnel::sleep(0s);
    runnel::sleep(-1h);
    runnel::sleep(clock::duration::min());
    EXPECT_LT(clock::now() - begin, 10s);
  });
}

CONFORMANCE(timers);

// Timer, NewTimer: when it expires, after at least the duration, the current time is sent on its channel.
TEST_P(timers, send_the_current_time_after_at_least_the_duration) {
  run([] {
    for (auto d : {10us, 1'000us, 5'000us}) {
      auto begin = clock::now();
      runnel::timer t(d);
      auto got = t.c().recv();
      auto end = clock::now();
      ASSERT_TRUE(got.has_value());
      EXPECT_GE(*got, begin + d);
      EXPECT_LE(*got, end);
    }
  });
}

// NewTimer: a duration that is not positive has passed already.
TEST_P(timers, of_no_or_negative_duration_expire_at_once) {
  run([] {
    for (auto d : {0s, -3600s}) {
      runnel::timer t(d);
      EXPECT_TRUE(t.c().recv_for(30s).has_value());
    }
  });
}

// Timer: it represents a single event.
TEST_P(timers, represent_a_single_event) {
  run([] {
    runnel::timer t(100us);
    EXPECT_TRUE(t.c().recv().has_value());
    pass(2ms);
    EXPECT_EQ(t.c().try_recv(), empty);
  });
}

// The same with several receivers: one of them gets it.
TEST_P(timers, are_received_by_one_of_several_receivers) {
  run([] {
    runnel::timer t(1ms);
    auto quit = make_chan<int>();
    std::atomic<int> got{0};
    runnel::wait_group receivers;
    for (int i = 0; i < 5; ++i) {
      receivers.go([&] { got += select(recv(t.c()), recv(quit)) == 0; });
    }
    EXPECT_TRUE(test::eventually([&] { return got == 1; }));
    pass(2ms);
    quit.close();
    receivers.wait();
    EXPECT_EQ(got, 1);
  });
}

// Timer.Stop: prevents the timer from firing, and returns true if the call did so.
TEST_P(timers, that_are_stopped_in_time_say_so_and_do_not_fire) {
  run([] {
    runnel::timer t(10ms), distant(1h);
    auto due = clock::now() + 10ms;
    bool stopped = t.stop();
    EXPECT_TRUE(distant.stop());
    EXPECT_TRUE(stopped);
    pass(due + 1ms);
    EXPECT_EQ(t.c().try_recv(), empty);
  });
}

// Timer.Stop: returns false if the timer has expired already.
TEST_P(timers, stopped_after_their_value_was_received_say_that_they_had_expired) {
  run([] {
    runnel::timer t(10us);
    t.c().recv();
    EXPECT_FALSE(t.stop());
  });
}

// Timer.Stop: or if it has been stopped.
TEST_P(timers, stopped_twice_say_that_they_had_been_stopped) {
  run([] {
    runnel::timer t(1h);
    EXPECT_TRUE(t.stop());
    EXPECT_FALSE(t.stop());
    EXPECT_FALSE(t.stop());
  });
}

// Timer.Stop: a receive after it is guaranteed to block rather than to get a value from before.
TEST_P(timers, never_deliver_a_stale_value_after_stop) {
  run([] {
    for (int i = 0; i < times(100); ++i) {
      runnel::timer t(20us);
      pass(20us * (i % 3));
      t.stop();
      ASSERT_EQ(t.c().try_recv(), empty);
      pass(30us);
      ASSERT_EQ(t.c().try_recv(), empty);
    }
  });
}

// Timer.Stop: as long as the program has not received from the channel, it is guaranteed to return true.
TEST_P(timers, whose_time_has_passed_unreceived_are_still_stopped) {
  run([] {
    for (int i = 0; i < times(50); ++i) {
      runnel::timer t(10us);
      pass(100us);
      ASSERT_TRUE(t.stop());
      ASSERT_FALSE(t.stop());
      ASSERT_EQ(t.c().try_recv(), empty);
    }
  });
}

// Timer.Stop: so it returns true exactly if nobody receives the value, also when that races.
TEST_P(timers, are_either_stopped_or_received) {
  run([] {
    for (int i = 0; i < times(2000); ++i) {
      runnel::timer t(std::chrono::microseconds(i % 60));
      auto quit = make_chan<int>();
      std::size_t taken = 2;
      background receiver([&] { taken = select(recv(t.c()), recv(quit)); });
      test::compute_for(std::chrono::microseconds(i % 50));
      if (i % 2 == 0) runnel::yield();
      bool stopped = t.stop();
      if (stopped) quit.close();  // else it has been received, and nothing else ends the receiver
      ASSERT_TRUE(receiver.ends());
      ASSERT_EQ(taken, stopped ? 1U : 0U);
    }
  });
}

// Timer.Stop: does not close the channel, so that nobody takes that for the event.
TEST_P(timers, that_are_stopped_do_not_close_their_channel) {
  run([] {
    runnel::timer t(1h);
    auto quit = make_chan<int>();
    background receiver([&] { EXPECT_EQ(select(recv(t.c()), recv(quit)), 1U); });
    t.stop();
    EXPECT_EQ(t.c().try_recv(), empty);
    EXPECT_TRUE(receiver.stays_blocked());
    quit.close();
    EXPECT_TRUE(receiver.ends());
  });
}

// Timer.Reset: changes the timer to expire after the duration: later than it would have.
TEST_P(timers, that_are_reset_expire_after_the_new_duration_if_that_is_later) {
  run([] {
    runnel::timer t(1ms);
    auto begin = clock::now();
    t.reset(10ms);
    auto got = t.c().recv();
    EXPECT_GE(*got, begin + 10ms);
  });
}

// The same: sooner.
TEST_P(timers, that_are_reset_expire_after_the_new_duration_if_that_is_sooner) {
  run([] {
    runnel::timer t(1h);
    background receiver([&] { EXPECT_TRUE(t.c().recv_for(30s).has_value()); });
    EXPECT_TRUE(receiver.stays_blocked());
    auto begin = clock::now();
    t.reset(1ms);
    EXPECT_TRUE(receiver.ends());
    EXPECT_GE(clock::now(), begin + 1ms);
  });
}

// Timer.Reset: returns true if the timer had been active.
TEST_P(timers, say_that_they_had_been_active_when_they_are_reset) {
  run([] {
    runnel::timer t(1h);
    EXPECT_TRUE(t.reset(2h));
    EXPECT_TRUE(t.reset(1h));
    t.stop();
  });
}

// Timer.Reset: and false if it had expired or been stopped; it is active again then.
TEST_P(timers, say_that_they_had_expired_or_been_stopped_when_they_are_reset) {
  run([] {
    runnel::timer t(10us);
    t.c().recv();
    EXPECT_FALSE(t.reset(1h));
    EXPECT_TRUE(t.stop());
    EXPECT_FALSE(t.reset(10us));
    EXPECT_TRUE(t.c().recv_for(30s).has_value());
  });
}

// Timer.Reset: no receive after it gets a value of the previous setting.
TEST_P(timers, never_deliver_a_stale_value_after_reset) {
  run([] {
    for (int i = 0; i < times(50); ++i) {
      runnel::timer t(20us);
      pass(20us * (i % 3));
      auto begin = clock::now();
      t.reset(200us);
      auto got = t.c().recv();
      ASSERT_GE(*got, begin + 200us);
      pass(50us);
      ASSERT_EQ(t.c().try_recv(), empty);
    }
  });
}

// Timer.Reset: as long as the program has not received from the channel, it is guaranteed to return true.
TEST_P(timers, whose_time_has_passed_unreceived_say_that_they_were_active_when_reset) {
  run([] {
    runnel::timer t(10us);
    pass(1ms);
    EXPECT_TRUE(t.reset(1h));
    EXPECT_EQ(t.c().try_recv(), empty);
  });
}

// NewTimer, since Go 1.23: the channel is synchronous, so its len and cap are 0, value or not.
TEST_P(timers, have_an_unbuffered_channel) {
  run([] {
    runnel::timer t(10us);
    EXPECT_EQ(t.c().cap(), 0U);
    EXPECT_EQ(t.c().len(), 0U);
    pass(1ms);
    EXPECT_EQ(t.c().cap(), 0U);
    EXPECT_EQ(t.c().len(), 0U);
    EXPECT_TRUE(t.c()
                    .try_recv()
                    .has_value());  // what len does not tell, a receive that does not block does
  });
}

CONFORMANCE(after_function);

// After: waits for the duration and then sends the current time on the channel it returned: like a timer's.
TEST_P(after_function, sends_the_current_time_on_the_channel_it_returns) {
  run([] {
    auto begin = clock::now();
    auto c = runnel::after(2ms);
    EXPECT_EQ(c.cap(), 0U);
    auto got = c.recv();
    auto end = clock::now();
    EXPECT_GE(*got, begin + 2ms);
    EXPECT_LE(*got, end);
    pass(1ms);
    EXPECT_EQ(c.try_recv(), empty);
  });
}

// After: the way to a select that gives up.
TEST_P(after_function, makes_a_timeout_in_select) {
  run([] {
    auto never = make_chan<int>(), ready = make_chan<int>(1);
    ready.send(1);
    auto begin = clock::now();
    EXPECT_EQ(select(recv(never), recv(runnel::after(2ms))), 1U);
    EXPECT_GE(clock::now(), begin + 2ms);
    EXPECT_EQ(select(recv(ready), recv(runnel::after(1h))), 0U);
  });
}

// After, since Go 1.23: one that is no longer referred to is given up before it fires; others are not disturbed.
TEST_P(after_function, may_be_forgotten_before_and_after_it_fires) {
  run([] {
    for (int i = 0; i < times(1000); ++i) {
      runnel::after(1h);
      runnel::after(std::chrono::microseconds(i % 20));
    }
    EXPECT_TRUE(runnel::after(1ms).recv().has_value());
    EXPECT_EQ(runnel::num_goroutine(), 1U);
  });
}

CONFORMANCE(after_func_function);

// AfterFunc: waits for the duration and then calls f in its own goroutine.
TEST_P(after_func_function, calls_f_in_its_own_goroutine_after_at_least_the_duration) {
  run([] {
    auto called = make_chan<std::pair<time_point, std::uint64_t>>();
    auto begin = clock::now();
    auto t = runnel::after_func(2ms, [=] { called.send({clock::now(), runnel::goroutine_id()}); });
    auto [when, who] = *called.recv();
    EXPECT_GE(when, begin + 2ms);
    EXPECT_NE(who, 0U);
    EXPECT_NE(who, runnel::goroutine_id());
  });
}

// AfterFunc: f may block without keeping other timers from firing.
TEST_P(after_func_function, may_call_a_function_that_blocks) {
  run([] {
    auto gate = make_chan<int>();
    auto t = runnel::after_func(0s, [=] { gate.recv(); });
    EXPECT_TRUE(runnel::after(1ms).recv().has_value());
    gate.send(1);
  });
}

// AfterFunc, Timer.Stop: stop cancels the call; true if it did.
TEST_P(after_func_function, does_not_call_f_once_stop_has_returned_true) {
  run([] {
    std::atomic<int> calls{0};
    auto due = clock::now() + 10ms;
    auto t = runnel::after_func(10ms, [&] { ++calls; });
    bool stopped = t.stop();
    pass(due + 2ms);
    EXPECT_TRUE(stopped);
    EXPECT_EQ(calls, 0);
    EXPECT_FALSE(t.stop());
  });
}

// Timer.Stop: false tells that the timer has expired and f has been started, also when that races.
TEST_P(after_func_function, calls_f_exactly_once_if_stop_returns_false) {
  run([] {
    for (int i = 0; i < times(1000); ++i) {
      auto calls = std::make_shared<std::atomic<int>>(0);
      auto t = runnel::after_func(std::chrono::microseconds(i % 60), [=] { ++*calls; });
      test::compute_for(std::chrono::microseconds(i % 50));
      if (i % 2 == 0) runnel::yield();
      bool stopped = t.stop();
      ASSERT_TRUE(stopped || test::eventually([&] { return *calls == 1; }));
      let_others_run();
      ASSERT_EQ(*calls, stopped ? 0 : 1);
    }
  });
}

// Timer.Stop: does not wait for f to complete.
TEST_P(after_func_function, is_stopped_without_waiting_for_f) {
  run([] {
    auto begun = make_chan<int>(), gate = make_chan<int>();
    auto t = runnel::after_func(10us, [=] { begun.send(1), gate.recv(); });
    begun.recv();
    EXPECT_FALSE(t.stop());  // f is in the middle of it
    gate.send(1);
  });
}

// Timer.Reset: of a timer made by AfterFunc, it changes when f will run, and returns true.
TEST_P(after_func_function, reset_in_time_calls_f_at_the_new_time_only) {
  run([] {
    auto called = make_chan<time_point>(10);
    auto t = runnel::after_func(1h, [=] { called.send(clock::now()); });
    auto begin = clock::now();
    EXPECT_TRUE(t.reset(2ms));
    EXPECT_GE(*called.recv(), begin + 2ms);
    pass(5ms);
    EXPECT_EQ(called.len(), 0U);
  });
}

// The same after f has been called: it is called once more, and the result is false.
TEST_P(after_func_function, reset_after_the_call_calls_f_again) {
  run([] {
    auto called = make_chan<int>(10);
    auto t = runnel::after_func(10us, [=] { called.send(1); });
    called.recv();
    EXPECT_FALSE(t.reset(10us));
    EXPECT_TRUE(called.recv_for(30s).has_value());
    EXPECT_FALSE(t.stop());
  });
}

}  // namespace
