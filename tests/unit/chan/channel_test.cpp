// What a channel does when it is nil or open. Closed: close_test.cpp. With a limit of time: timed_test.cpp.

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "platform/sanitizer.h"
#include "runnel/chan.h"
#include "runnel/runnel.h"
#include "support/counted.h"
#include "support/scale.h"
#include "support/wait.h"
#include "support/waiting.h"

namespace {

using namespace std::chrono_literals;
using runnel::chan;
using runnel::chan_errc;
using runnel::make_chan;
using runnel::run;
using runnel::sched::wait_reason;

class channel : public testing::TestWithParam<int> {
 protected:
  template <class F>
  static void in_run(F f) {
    run({.max_procs = GetParam()}, f);
  }
};

INSTANTIATE_TEST_SUITE_P(procs, channel, testing::Values(1, 4),
                         [](const auto& param) { return std::to_string(param.param); });

// --- nil ---

TEST(nil_channel, is_what_a_handle_is_at_first) {
  chan<int> ch;
  EXPECT_TRUE(ch.is_nil());
  EXPECT_FALSE(ch);
  EXPECT_EQ(ch.len(), 0U);
  EXPECT_EQ(ch.cap(), 0U);
}

TEST(nil_channel, is_never_ready) {
  auto refuses = [] {
    chan<std::unique_ptr<int>> ch;
    auto v = std::make_unique<int>(1);
    EXPECT_FALSE(ch.try_send(v));
    EXPECT_FALSE(ch.send_for(v, 1ms));
    EXPECT_TRUE(v) << "moved although it was not sent";
    EXPECT_EQ(ch.try_recv().error(), chan_errc::empty);
    EXPECT_EQ(ch.recv_for(1ms).error(), chan_errc::timeout);
  };
  refuses();
  run(refuses);
}

TEST(nil_channel, blocks_senders_and_receivers_for_ever) {
  run([] {
    auto* waiting = new test::waiting_goroutines;  // as long as they wait
    waiting->go(wait_reason::chan_send_nil, [] { chan<int>().send(1); });
    waiting->go(wait_reason::chan_receive_nil, [] { chan<int>().recv(); });
    waiting->go(wait_reason::chan_receive_nil, [] {
      for (int v : chan<int>()) ADD_FAILURE() << v;
    });
    runnel::sleep(2ms);
    EXPECT_EQ(runnel::num_goroutine(), 4U);
  });
}

// --- open, unbuffered ---

TEST_P(channel, without_a_buffer_makes_a_sender_wait_for_a_receiver) {
  in_run([] {
    auto ch = make_chan<int>();
    test::waiting_goroutines waiting;
    std::atomic<bool> sent{false};
    waiting.go(wait_reason::chan_send, [&] {
      ch.send(7);
      sent = true;
    });
    EXPECT_FALSE(sent);
    EXPECT_EQ(ch.len(), 0U);
    EXPECT_EQ(ch.recv(), 7);
    waiting.wait();
  });
}

TEST_P(channel, without_a_buffer_makes_a_receiver_wait_for_a_sender) {
  in_run([] {
    auto ch = make_chan<int>();
    test::waiting_goroutines waiting;
    int got = 0;
    waiting.go(wait_reason::chan_receive, [&] { got = ch.recv().value(); });
    ch.send(7);
    waiting.wait();
    EXPECT_EQ(got, 7);
  });
}

TEST_P(channel, without_a_buffer_can_be_tried_only_while_a_partner_waits) {
  in_run([] {
    auto ch = make_chan<int>();
    EXPECT_FALSE(ch.try_send(1));
    EXPECT_EQ(ch.try_recv().error(), chan_errc::empty);
    test::waiting_goroutines waiting;
    int got = 0;
    waiting.go([&] { got = ch.recv().value(); });
    EXPECT_TRUE(ch.try_send(2));
    waiting.wait();
    EXPECT_EQ(got, 2);
    waiting.go([&] { ch.send(3); });
    EXPECT_EQ(ch.try_recv(), 3);
    EXPECT_EQ(ch.try_recv().error(), chan_errc::empty);
    waiting.wait();
  });
}

// --- open, buffered ---

TEST_P(channel, with_a_buffer_takes_as_many_as_its_capacity_without_a_receiver) {
  in_run([] {
    auto ch = make_chan<int>(3);
    EXPECT_EQ(ch.cap(), 3U);
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(ch.len(), static_cast<std::size_t>(i));
      EXPECT_TRUE(ch.try_send(i));
    }
    EXPECT_FALSE(ch.try_send(3));
    EXPECT_EQ(ch.len(), 3U);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(ch.try_recv(), i);
    EXPECT_EQ(ch.try_recv().error(), chan_errc::empty);
  });
}

TEST_P(channel, with_a_full_buffer_makes_a_sender_wait_for_room) {
  in_run([] {
    auto ch = make_chan<int>(1);
    ch.send(1);
    test::waiting_goroutines waiting;
    waiting.go(wait_reason::chan_send, [&] { ch.send(2); });
    EXPECT_EQ(ch.len(), 1U);
    EXPECT_EQ(ch.recv(), 1);
    EXPECT_EQ(ch.len(), 1U) << "the sender's value is in the buffer at once";
    waiting.wait();
    EXPECT_EQ(ch.recv(), 2);
    EXPECT_EQ(ch.len(), 0U);
  });
}

TEST_P(channel, keeps_the_order_round_and_round_its_ring) {
  in_run([] {
    for (std::size_t capacity : {1, 2, 3, 7, 64}) {
      auto ch = make_chan<int>(capacity);
      int sent = 0, received = 0;
      for (int turn = 0; turn < 100; ++turn) {
        for (int k = turn % 7; k >= 0 && ch.try_send(sent); --k) ++sent;
        for (int k = turn % 5; k >= 0; --k) {
          auto v = ch.try_recv();
          if (!v) break;
          EXPECT_EQ(*v, received++);
        }
      }
      while (auto v = ch.try_recv()) EXPECT_EQ(*v, received++);
      EXPECT_EQ(sent, received);
    }
  });
}

// --- who waits is served first come first served ---

TEST_P(channel, serves_receivers_in_the_order_in_which_they_came) {
  in_run([] {
    for (std::size_t capacity : {0, 2}) {
      constexpr int n = 6;
      auto ch = make_chan<int>(capacity);
      std::vector<int> got(n, -1);
      test::waiting_goroutines waiting;
      for (int i = 0; i < n; ++i) waiting.go([&, i] { got[i] = ch.recv().value(); });
      for (int i = 0; i < n; ++i) ch.send(i);
      waiting.wait();
      for (int i = 0; i < n; ++i) EXPECT_EQ(got[i], i);
    }
  });
}

TEST_P(channel, serves_senders_in_the_order_in_which_they_came) {
  in_run([] {
    for (std::size_t capacity : {0, 1, 2}) {
      auto ch = make_chan<int>(capacity);
      int in_buffer = static_cast<int>(capacity), n = in_buffer + 6;
      for (int i = 0; i < in_buffer; ++i) ch.send(i);
      test::waiting_goroutines waiting;
      for (int i = in_buffer; i < n; ++i) waiting.go([&, i] { ch.send(i); });
      for (int i = 0; i < n; ++i) EXPECT_EQ(ch.recv(), i);
      waiting.wait();
    }
  });
}

TEST_P(channel, lets_nobody_overtake_a_sender_that_waits) {
  in_run([] {
    auto ch = make_chan<int>(1);
    ch.send(0);
    test::waiting_goroutines waiting;
    waiting.go([&] { ch.send(1); });
    EXPECT_EQ(ch.recv(), 0);
    EXPECT_FALSE(ch.try_send(2)) << "the place is the sender's who waited";
    EXPECT_EQ(ch.recv(), 1);
    waiting.wait();
  });
}

TEST_P(channel, hands_a_value_straight_to_a_receiver_that_waits) {
  in_run([] {
    auto ch = make_chan<test::counted>(4);
    test::waiting_goroutines waiting;
    waiting.go([&] { EXPECT_EQ(ch.recv()->value(), 5); });
    test::counted v(5);
    long before = test::counted::moves();
    EXPECT_TRUE(ch.try_send(v));
    EXPECT_EQ(ch.len(), 0U) << "not through the buffer";
    waiting.wait();
    EXPECT_EQ(test::counted::moves(), before + 2) << "to the receiver, and into what it returns";
  });
}

TEST_P(channel, works_from_both_ends_at_once) {
  in_run([] {
    constexpr int senders = 4, receivers = 4;
    const int each = test::scaled(5000);
    for (std::size_t capacity : {0, 1, 16}) {
      auto ch = make_chan<int>(capacity);
      std::atomic<long> sum{0}, count{0};
      runnel::wait_group sending, receiving;
      for (int s = 0; s < senders; ++s) {
        sending.go([&] {
          for (int i = 1; i <= each; ++i) ch.send(i);
        });
      }
      for (int r = 0; r < receivers; ++r) {
        receiving.go([&] {
          for (int v : ch) {
            sum += v;
            ++count;
          }
        });
      }
      sending.wait();
      ch.close();
      receiving.wait();
      EXPECT_EQ(count, static_cast<long>(senders) * each);
      EXPECT_EQ(sum, static_cast<long>(senders) * each * (each + 1L) / 2);
    }
  });
}

// --- handles ---

TEST(channel_handle, is_equal_to_those_of_the_same_channel) {
  chan<int> a = make_chan<int>(), b = make_chan<int>(), also_a = a, nil;
  EXPECT_EQ(a, also_a);
  EXPECT_NE(a, b);
  EXPECT_NE(a, nil);
  EXPECT_EQ(nil, chan<int>());
  EXPECT_EQ(std::hash<chan<int>>()(a), std::hash<chan<int>>()(also_a));
  chan<int> moved = std::move(also_a);
  EXPECT_EQ(moved, a);
  EXPECT_TRUE(also_a.is_nil());
  b = a;
  EXPECT_EQ(a, b);
  b = chan<int>();
  EXPECT_TRUE(b.is_nil());
}

TEST(channel_handle, may_be_assigned_to_itself) {
  auto ch = make_chan<int>(1);
  auto& same = ch;
  ch = same;
  ch.send(1);
  EXPECT_EQ(ch.recv(), 1);
}

TEST(channel_handle, may_travel_through_a_channel_of_channels) {
  run([] {
    auto requests = make_chan<chan<int>>();
    runnel::go([requests] { requests.recv()->send(42); });
    auto reply = make_chan<int>();
    requests.send(reply);
    EXPECT_EQ(reply.recv(), 42);
  });
}

TEST(channel_handle, may_die_in_the_hands_of_a_receiver) {
  run({.max_procs = 4}, [] {
    for (int i = 0; i < test::scaled(2000); ++i) {
      auto ch = make_chan<int>();
      runnel::go([ch] { ch.send(1); });
      EXPECT_EQ(std::exchange(ch, {}).recv(), 1);
    }
  });
}

TEST(make_chan, refuses_a_capacity_that_no_memory_has) {
  auto panic_of = [](std::size_t capacity) {
    try {
      make_chan<std::uint64_t>(capacity);
    } catch (const runnel::runtime_error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_EQ(panic_of(SIZE_MAX), "makechan: size out of range");
  EXPECT_EQ(panic_of(SIZE_MAX / 8), "makechan: size out of range");
  EXPECT_EQ(panic_of(SIZE_MAX / 8 + 2), "makechan: size out of range") << "8 times that is 8";
  EXPECT_EQ(panic_of(std::size_t{1} << 46), "makechan: size out of range");
}

TEST(make_chan, throws_when_there_is_not_enough_memory) {
  if (test::sanitized) GTEST_SKIP() << "the sanitizer ends the program";
  EXPECT_THROW(make_chan<char>((std::size_t{1} << 47) - 4096), std::bad_alloc);
}

}  // namespace
