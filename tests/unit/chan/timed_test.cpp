// Sending and receiving with a limit of time.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <vector>

#include "chan/channel.h"
#include "runnel/chan.h"
#include "runnel/runnel.h"
#include "support/scale.h"
#include "support/wait.h"
#include "support/waiting.h"

namespace {

using namespace std::chrono_literals;
using runnel::chan_errc;
using runnel::make_chan;
using runnel::run;

template <class F>
void on_goroutines_and_on_a_thread(F f) {
  run({.max_procs = 1}, f);
  run({.max_procs = 4}, f);
  f();
}

TEST(timed, operations_that_are_possible_at_once_do_not_look_at_the_time) {
  on_goroutines_and_on_a_thread([] {
    auto ch = make_chan<int>(1);
    EXPECT_TRUE(ch.send_for(1, 0ms));
    EXPECT_EQ(ch.recv_for(0ms), 1);
    EXPECT_TRUE(ch.send_for(2, -1h));
    EXPECT_EQ(ch.recv_for(std::chrono::hours::min()), 2);
    EXPECT_TRUE(ch.send_for(3, std::chrono::hours::max()));
    EXPECT_EQ(ch.recv_for(std::chrono::duration<double>(1e300)), 3);
  });
}

TEST(timed, operations_give_up_when_the_time_has_passed_and_not_before) {
  on_goroutines_and_on_a_thread([] {
    auto ch = make_chan<int>();
    auto begin = test::clock::now();
    EXPECT_EQ(ch.recv_for(3ms).error(), chan_errc::timeout);
    EXPECT_GE(test::clock::now() - begin, 3ms);
    begin = test::clock::now();
    EXPECT_FALSE(ch.send_for(1, 3ms));
    EXPECT_GE(test::clock::now() - begin, 3ms);
    EXPECT_EQ(ch.recv_for(-3ms).error(), chan_errc::timeout);
    EXPECT_FALSE(ch.send_for(1, 0ms));
  });
}

TEST(timed, operations_that_gave_up_leave_nothing_behind) {
  on_goroutines_and_on_a_thread([] {
    auto ch = make_chan<int>();
    for (int i = 0; i < 20; ++i) {
      EXPECT_FALSE(ch.send_for(1, 10us));
      EXPECT_FALSE(ch.recv_for(10us));
      EXPECT_TRUE(ch.core()->senders.empty());
      EXPECT_TRUE(ch.core()->receivers.empty());
      EXPECT_FALSE(ch.try_recv());
      EXPECT_FALSE(ch.try_send(2));
    }
  });
}

TEST(timed, operations_in_the_middle_of_a_queue_leave_the_others_in_order) {
  run({.max_procs = 2}, [] {
    auto ch = make_chan<int>();
    std::vector<int> got(4, -1);
    test::waiting_goroutines stay, leave;
    stay.go([&] { got[0] = ch.recv().value(); });
    leave.go([&] { EXPECT_FALSE(ch.recv_for(5ms)); });
    stay.go([&] { got[1] = ch.recv().value(); });
    leave.go([&] { EXPECT_FALSE(ch.recv_for(1ms)); });
    leave.go([&] { EXPECT_FALSE(ch.recv_for(3ms)); });
    stay.go([&] { got[2] = ch.recv().value(); });
    stay.go([&] { got[3] = ch.recv_for(1h).value(); });
    leave.wait();
    for (int i = 0; i < 4; ++i) ch.send(i);
    stay.wait();
    EXPECT_EQ(got, (std::vector{0, 1, 2, 3}));
  });
}

TEST(timed, operations_get_a_partner_that_comes_in_time) {
  run({.max_procs = 2}, [] {
    auto ch = make_chan<int>();
    test::waiting_goroutines waiting;
    waiting.go([&] { EXPECT_EQ(ch.recv_for(1h), 1); });
    ch.send(1);
    waiting.wait();
    waiting.go([&] { EXPECT_TRUE(ch.send_for(2, 1h)); });
    EXPECT_EQ(ch.recv(), 2);
    waiting.wait();
    auto full = make_chan<int>(1);
    full.send(1);
    waiting.go([&] { EXPECT_TRUE(full.send_for(2, 1h)); });
    EXPECT_EQ(full.recv(), 1);
    waiting.wait();
    EXPECT_EQ(full.recv(), 2);
  });
}

// Sender and receiver give up at about the time at which they meet: they agree on whether they did.
TEST(timed, operations_agree_with_their_partner_on_whether_it_was_in_time) {
  for (int procs : {1, 4}) {
    run({.max_procs = procs}, [] {
      const int rounds = test::scaled(3000);
      auto ch = make_chan<int>();
      std::atomic<long> sent{0}, received{0};
      runnel::wait_group wg;
      for (int k = 0; k < 2; ++k) {
        wg.go([&] {
          for (int i = 0; i < rounds; ++i)
            sent += ch.send_for(1, std::chrono::microseconds(i % 30));
        });
        wg.go([&] {
          for (int i = 0; i < rounds; ++i) {
            received += ch.recv_for(std::chrono::microseconds(i % 23)).has_value();
          }
        });
      }
      wg.wait();
      EXPECT_EQ(sent, received);
      EXPECT_TRUE(ch.core()->senders.empty());
      EXPECT_TRUE(ch.core()->receivers.empty());
    });
  }
}

TEST(timed, operations_that_race_with_a_close_end) {
  run({.max_procs = 4}, [] {
    for (int i = 0; i < test::scaled(1000); ++i) {
      auto ch = make_chan<int>();
      auto limit = std::chrono::microseconds(i % 20);
      std::atomic<int> sent{0}, received{0};
      runnel::wait_group wg;
      wg.go([&] { received += ch.recv_for(limit).has_value(); });
      wg.go([&] {
        try {
          sent += ch.send_for(1, limit);
        } catch (const runnel::runtime_error&) {
        }
      });
      if (i % 2 == 0) runnel::sleep(limit);
      ch.close();
      wg.wait();
      EXPECT_EQ(sent, received);
    }
  });
}

}  // namespace
