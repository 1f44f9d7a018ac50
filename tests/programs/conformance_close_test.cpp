// The Go specification on closing channels, their length and capacity, comparing them, and ranging over them.

#include <runnel/chan.h>

#include <vector>

#include "programs/conformance.h"
#include "support/death.h"

namespace {

using conformance::background, conformance::blocks_for_ever, conformance::let_others_run;
using conformance::panic_of, conformance::times;
using runnel::chan, runnel::chan_errc, runnel::make_chan, runnel::recv_chan, runnel::send_chan;

// Close

CONFORMANCE(close_builtin);

// Section "Close": it records that no more values will be sent; those that were sent stay.
TEST_P(close_builtin, records_that_no_more_values_will_be_sent) {
  run([] {
    auto ch = make_chan<int>(3);
    ch.send(1);
    ch.close();
    EXPECT_EQ(panic_of([&] { ch.send(2); }), "send on closed channel");
    EXPECT_EQ(ch.recv(), 1);
    EXPECT_FALSE(ch.recv().has_value());
  });
}

template <class C>
concept can_close = requires(C c) { c.close(); };

// Section "Close": closing a channel one can only receive from is an error, which the compiler finds.
TEST_P(close_builtin, of_a_receive_only_channel_does_not_compile) {
  static_assert(can_close<chan<int>> && can_close<send_chan<int>> && !can_close<recv_chan<int>>);
  run([] {
    auto ch = make_chan<int>();
    send_chan<int>(ch).close();
    EXPECT_FALSE(ch.recv().has_value());
  });
}

// Section "Close": closing a closed channel causes a run-time panic.
TEST_P(close_builtin, of_a_closed_channel_panics) {
  run([] {
    for (std::size_t capacity : {0, 3}) {
      auto ch = make_chan<int>(capacity);
      ch.close();
      EXPECT_EQ(panic_of([&] { ch.close(); }), "close of closed channel");
    }
  });
}

// The same when two close it at once: one of them panics, for no other reason.
TEST_P(close_builtin, by_several_at_once_succeeds_for_one_and_panics_for_the_others) {
  run([] {
    for (int i = 0; i < times(500); ++i) {
      auto ch = make_chan<int>();
      std::atomic<int> succeeded{0}, panicked{0};
      runnel::wait_group wg;
      for (int g = 0; g < 4; ++g) {
        wg.go([&] {
          auto text = panic_of([&] { ch.close(); });
          succeeded += text == "none";
          panicked += text == "close of closed channel";
        });
      }
      wg.wait();
      ASSERT_EQ(succeeded, 1);
      ASSERT_EQ(panicked, 3);
    }
  });
}

// Section "Close": closing the nil channel causes a run-time panic.
TEST_P(close_builtin, of_the_nil_channel_panics) {
  run([] {
    EXPECT_EQ(panic_of([] { chan<int>().close(); }), "close of nil channel");
    EXPECT_EQ(panic_of([] { send_chan<int>().close(); }), "close of nil channel");
  });
}

// Section "Close": once it is closed and the values sent before are received, receiving does not block and gives
// the end.
TEST_P(close_builtin, makes_receives_return_the_end_without_blocking_once_the_values_are_gone) {
  run([] {
    auto ch = make_chan<int>(100);
    for (int i = 0; i < 100; ++i) ch.send(i);
    ch.close();
    std::atomic<int> values{0}, ends{0};
    runnel::wait_group wg;
    for (int g = 0; g < 4; ++g) {
      wg.go([&] {
        for (int i = 0; i < 50; ++i) ++(ch.recv().has_value() ? values : ends);
      });
    }
    wg.wait();
    EXPECT_EQ(values, 100);
    EXPECT_EQ(ends, 100);
  });
}

// The same for receivers that were blocked when it was closed: all of them return.
TEST_P(close_builtin, releases_all_receivers_that_are_blocked) {
  run([] {
    for (int round = 0; round < times(100); ++round) {
      auto ch = make_chan<int>(round % 3);
      std::atomic<int> ended{0};
      runnel::wait_group wg;
      for (int i = 0; i < 20; ++i) wg.go([&] { ended += !ch.recv().has_value(); });
      for (int i = 0; i < round % 8; ++i) runnel::yield();
      ch.close();
      ASSERT_TRUE(wg.wait_for(std::chrono::seconds(30)));
      ASSERT_EQ(ended, 20);
    }
  });
}

// Section "Close": a receive also reports whether the channel is closed: as long as it is not, it reports values.
TEST_P(close_builtin, and_nothing_else_makes_a_receive_report_the_end) {
  run([] {
    auto ch = make_chan<int>(2);
    const int n = times(5000);
    background sender([=] {
      for (int i = 0; i < n; ++i) ch.send(0);
      ch.close();
    });
    int received = 0;
    while (ch.recv().has_value()) ++received;
    EXPECT_EQ(received, n);
    EXPECT_TRUE(sender.ends());
  });
}

// Section "Run-time panics": such an error is a panic with a value of the runtime's error type; unrecovered, it ends
// the program with status 2.
TEST_P(close_builtin, panics_end_the_program_unless_recovered) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(run([] {
                auto ch = make_chan<int>();
                runnel::go([=] { ch.close(), ch.close(); });
                ch.recv();
                let_others_run();
                runnel::wait_group never;
                never.add(1);
                never.wait_for(std::chrono::seconds(30));
              }),
              test::exits_with_2, "close of closed channel");
}

// Length and capacity

CONFORMANCE(length_and_capacity);

// Section "Length and capacity": len is the number of elements queued in the buffer.
TEST_P(length_and_capacity, len_is_the_number_of_elements_queued_in_the_buffer) {
  run([] {
    auto ch = make_chan<int>(4);
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_EQ(ch.len(), i);
      ch.send(0);
    }
    for (std::size_t i = 4; i > 0; --i) {
      EXPECT_EQ(ch.len(), i);
      ch.recv();
    }
    EXPECT_EQ(ch.len(), 0U);
    ch.send(0), ch.send(0);
    ch.close();
    EXPECT_EQ(ch.len(), 2U);
  });
}

// The same: a sender that is blocked has queued nothing yet.
TEST_P(length_and_capacity, len_does_not_count_what_blocked_senders_hold) {
  run([] {
    for (std::size_t capacity : {0, 2}) {
      auto ch = make_chan<int>(capacity);
      for (std::size_t i = 0; i < capacity; ++i) ch.send(0);
      background a([=] { ch.send(1); });
      background b([=] { ch.send(1); });
      EXPECT_TRUE(a.stays_blocked() && b.stays_blocked());
      EXPECT_EQ(ch.len(), capacity);
      for (std::size_t i = 0; i < capacity + 2; ++i) ch.recv();
      EXPECT_TRUE(a.ends() && b.ends());
    }
  });
}

// Section "Length and capacity": cap is the buffer's capacity, whatever happens to the channel.
TEST_P(length_and_capacity, cap_is_the_buffers_capacity) {
  run([] {
    EXPECT_EQ(make_chan<int>().cap(), 0U);
    for (std::size_t capacity : {0, 1, 17, 1000}) {
      auto ch = make_chan<int>(capacity);
      EXPECT_EQ(ch.cap(), capacity);
      if (capacity > 0) ch.send(1);
      EXPECT_EQ(ch.cap(), capacity);
      ch.close();
      EXPECT_EQ(ch.cap(), capacity);
      EXPECT_EQ(send_chan<int>(ch).cap(), capacity);
      EXPECT_EQ(recv_chan<int>(ch).cap(), capacity);
    }
  });
}

// Section "Length and capacity": at any time 0 <= len <= cap.
TEST_P(length_and_capacity, len_is_at_no_time_greater_than_cap) {
  run([] {
    for (std::size_t capacity : {0, 1, 3}) {
      auto ch = make_chan<int>(capacity);
      std::atomic<bool> stop{false};
      runnel::wait_group wg;
      for (int g = 0; g < 3; ++g) {
        wg.go([&, n = times(3000)] {
          for (int i = 0; i < n; ++i) ch.send(i);
        });
        wg.go([&, n = times(3000)] {
          for (int i = 0; i < n; ++i) ch.recv();
        });
      }
      background observer([&] {
        while (!stop) {
          EXPECT_LE(ch.len(), capacity);
          runnel::yield();
        }
      });
      wg.wait();
      stop = true;
      EXPECT_TRUE(observer.ends());
    }
  });
}

// Section "Length and capacity": both are 0 for nil.
TEST_P(length_and_capacity, of_nil_are_zero) {
  run([] {
    EXPECT_EQ(chan<int>().len(), 0U);
    EXPECT_EQ(chan<int>().cap(), 0U);
    EXPECT_EQ(recv_chan<int>().len(), 0U);
    EXPECT_EQ(send_chan<int>().cap(), 0U);
  });
}

// Comparison operators

CONFORMANCE(comparison_operators);

// Section "Comparison operators": channels are equal if the same call of make created them.
TEST_P(comparison_operators, channels_are_equal_if_one_make_created_them) {
  run([] {
    auto a = make_chan<int>(), b = make_chan<int>();
    auto copy = a;
    EXPECT_TRUE(a == copy);
    EXPECT_FALSE(a == b);
    EXPECT_TRUE(a != b);
    b = a;
    EXPECT_TRUE(a == b);
    EXPECT_TRUE(recv_chan<int>(a) == recv_chan<int>(copy));
  });
}

// Section "Comparison operators": or if both are nil.
TEST_P(comparison_operators, channels_are_equal_if_both_are_nil) {
  run([] {
    EXPECT_TRUE(chan<int>() == chan<int>());
    EXPECT_FALSE(chan<int>() == make_chan<int>());
  });
}

// For statements with range clause

CONFORMANCE(for_range);

// Section "For statements with range clause": over a channel, the values are those sent on it, one after the other,
// until it is closed.
TEST_P(for_range, over_a_channel_yields_the_values_sent_until_it_is_closed) {
  run([] {
    for (std::size_t capacity : {0, 1, 10}) {
      auto ch = make_chan<int>(capacity);
      background sender([=] {
        for (int i = 0; i < 100; ++i) ch.send(i);
        ch.close();
      });
      std::vector<int> got;
      for (int v : ch) got.push_back(v);
      ASSERT_EQ(got.size(), 100U);
      for (int i = 0; i < 100; ++i) EXPECT_EQ(got[static_cast<std::size_t>(i)], i);
      EXPECT_TRUE(sender.ends());
    }
  });
}

// The same: as long as it is open and empty, the loop waits.
TEST_P(for_range, waits_while_the_channel_is_open_and_empty) {
  run([] {
    auto ch = make_chan<int>(5);
    std::atomic<int> sum{0};
    background loop([&] {
      for (int v : ch) sum += v;
    });
    ch.send(1), ch.send(2);
    EXPECT_TRUE(test::eventually([&] { return sum == 3; }));
    EXPECT_TRUE(loop.stays_blocked());
    ch.close();
    EXPECT_TRUE(loop.ends());
  });
}

// The same: a channel that was closed before still yields what was left in it.
TEST_P(for_range, yields_what_is_left_in_a_closed_channel) {
  run([] {
    auto ch = make_chan<int>(5);
    for (int i = 1; i <= 5; ++i) ch.send(i);
    ch.close();
    int sum = 0;
    for (int v : recv_chan<int>(ch)) sum += v;
    EXPECT_EQ(sum, 15);
    for (int v : ch) ADD_FAILURE() << v;
  });
}

// Section "For statements with range clause": a loop that is left early takes no more than it has iterated over.
TEST_P(for_range, left_early_leaves_the_other_values) {
  run([] {
    auto ch = make_chan<int>(5);
    for (int i = 0; i < 5; ++i) ch.send(i);
    for (int v : ch) {
      if (v == 2) break;
    }
    EXPECT_EQ(ch.len(), 2U);
    EXPECT_EQ(ch.recv(), 3);
  });
}

// Section "For statements with range clause": over a nil channel it blocks for ever.
TEST_P(for_range, over_a_nil_channel_blocks_for_ever) {
  run([] {
    EXPECT_TRUE(blocks_for_ever([] {
      for (int v : chan<int>()) ADD_FAILURE() << v;
    }));
  });
}

// Section "For statements with range clause": several loops share the values of one channel.
TEST_P(for_range, in_several_goroutines_shares_the_values) {
  run([] {
    auto ch = make_chan<int>(2);
    std::atomic<long> sum{0};
    runnel::wait_group loops;
    for (int g = 0; g < 4; ++g) {
      loops.go([&] {
        for (int v : ch) sum += v;
      });
    }
    const int n = times(4000);
    for (int i = 1; i <= n; ++i) ch.send(i);
    ch.close();
    loops.wait();
    EXPECT_EQ(sum, long{n} * (n + 1) / 2);
  });
}

}  // namespace
