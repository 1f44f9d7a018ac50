// Closing a channel, and what a closed one does.

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "runnel/chan.h"
#include "runnel/runnel.h"
#include "support/scale.h"
#include "support/wait.h"
#include "support/waiting.h"

namespace {

using namespace std::chrono_literals;
using runnel::chan;
using runnel::chan_errc;
using runnel::make_chan;
using runnel::run;

template <class F>
std::string panic_of(F f) {
  try {
    f();
  } catch (const runnel::runtime_error& e) {
    return e.what();
  }
  return "none";
}

constexpr auto send_on_closed = "send on closed channel";
constexpr auto close_of_closed = "close of closed channel";

template <class F>
void on_a_goroutine_and_on_a_thread(F f) {
  run(f);
  f();
}

TEST(close, of_a_nil_channel_panics) {
  on_a_goroutine_and_on_a_thread(
      [] { EXPECT_EQ(panic_of([] { chan<int>().close(); }), "close of nil channel"); });
}

TEST(close, of_a_closed_channel_panics) {
  on_a_goroutine_and_on_a_thread([] {
    auto ch = make_chan<int>();
    ch.close();
    EXPECT_EQ(panic_of([&] { ch.close(); }), close_of_closed);
    EXPECT_EQ(panic_of([&] { ch.close(); }), close_of_closed);
  });
}

TEST(close, leaves_what_is_in_the_buffer_to_receivers) {
  on_a_goroutine_and_on_a_thread([] {
    auto ch = make_chan<int>(4);
    for (int i = 0; i < 4; ++i) ch.send(i);
    ch.close();
    EXPECT_EQ(ch.len(), 4U);
    EXPECT_EQ(ch.cap(), 4U);
    EXPECT_EQ(ch.recv(), 0);
    EXPECT_EQ(ch.try_recv(), 1);
    EXPECT_EQ(ch.recv_for(1h), 2);
    EXPECT_EQ(ch.len(), 1U);
    EXPECT_EQ(ch.recv(), 3);
    EXPECT_EQ(ch.len(), 0U);
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(ch.recv(), std::nullopt);
      EXPECT_EQ(ch.try_recv().error(), chan_errc::closed);
      EXPECT_EQ(ch.recv_for(1h).error(), chan_errc::closed);
    }
  });
}

TEST(close, makes_every_way_to_send_panic) {
  on_a_goroutine_and_on_a_thread([] {
    for (std::size_t capacity : {0, 2}) {
      auto ch = make_chan<std::unique_ptr<int>>(capacity);
      ch.close();
      auto v = std::make_unique<int>(1);
      EXPECT_EQ(panic_of([&] { ch.send(nullptr); }), send_on_closed);
      EXPECT_EQ(panic_of([&] { ch.try_send(v); }), send_on_closed);
      EXPECT_EQ(panic_of([&] { ch.send_for(v, 1h); }), send_on_closed);
      EXPECT_TRUE(v) << "moved although it was not sent";
    }
  });
}

TEST(close, wakes_all_receivers) {
  run({.max_procs = 4}, [] {
    auto ch = make_chan<int>();
    test::waiting_goroutines waiting;
    std::atomic<int> ended{0};
    for (int i = 0; i < 5; ++i) waiting.go([&] { ended += ch.recv() == std::nullopt; });
    waiting.go([&] { ended += ch.recv_for(1h).error() == chan_errc::closed; });
    waiting.go([&] {
      for (int v : ch) ADD_FAILURE() << v;
      ++ended;
    });
    ch.close();
    waiting.wait();
    EXPECT_EQ(ended, 7);
  });
}

TEST(close, wakes_all_senders_which_panic) {
  run({.max_procs = 4}, [] {
    for (std::size_t capacity : {0, 1}) {
      auto ch = make_chan<int>(capacity);
      if (capacity != 0) ch.send(100);
      test::waiting_goroutines waiting;
      std::atomic<int> panicked{0};
      for (int i = 0; i < 5; ++i) {
        waiting.go([&, i] { panicked += panic_of([&] { ch.send(i); }) == send_on_closed; });
      }
      waiting.go([&] { panicked += panic_of([&] { ch.send_for(9, 1h); }) == send_on_closed; });
      ch.close();
      waiting.wait();
      EXPECT_EQ(panicked, 6);
      if (capacity != 0) {
        EXPECT_EQ(ch.recv(), 100) << "what was sent before stays";
      }
      EXPECT_EQ(ch.recv(), std::nullopt) << "nothing of those that panicked";
    }
  });
}

TEST(close, wakes_those_on_plain_threads) {
  run({.max_procs = 2}, [] {
    auto ch = make_chan<int>();
    std::atomic<int> ended{0};
    std::thread receiver([&] { ended += ch.recv() == std::nullopt; });
    std::thread timed([&] { ended += ch.recv_for(1h).error() == chan_errc::closed; });
    ch.close();
    receiver.join();
    timed.join();
    EXPECT_EQ(ended, 2);
  });
}

TEST(close, by_several_at_once_succeeds_for_one) {
  run({.max_procs = 4}, [] {
    for (int i = 0; i < test::scaled(1000); ++i) {
      auto ch = make_chan<int>();
      std::atomic<int> closed{0}, refused{0};
      runnel::wait_group wg;
      for (int k = 0; k < 3; ++k) {
        wg.go([&] { ++(panic_of([&] { ch.close(); }) == "none" ? closed : refused); });
      }
      wg.wait();
      EXPECT_EQ(closed, 1);
      EXPECT_EQ(refused, 2);
    }
  });
}

TEST(close, that_races_with_a_send_loses_nothing_that_was_sent) {
  run({.max_procs = 4}, [] {
    for (int i = 0; i < test::scaled(3000); ++i) {
      auto ch = make_chan<int>(i % 3);
      std::atomic<int> sent{0};
      runnel::wait_group wg;
      for (int k = 0; k < 2; ++k) {
        wg.go([&] { sent += panic_of([&] { ch.send(1); }) == "none"; });
      }
      wg.go([&] { ch.close(); });
      int received = 0;
      while (ch.recv()) ++received;
      wg.wait();
      EXPECT_EQ(sent, received);
    }
  });
}

// Closed after the value was sent: there is no moment at which a receive would have to wait.
TEST(close, is_not_mistaken_for_empty_when_the_last_value_goes_at_the_same_time) {
  const int rounds = test::scaled(40'000);
  std::atomic<chan<int>*> table{nullptr};
  std::atomic<int> done{0};
  int empty = 0;
  std::thread observer([&] {
    for (int i = 1; i <= rounds; ++i) {
      chan<int>* ch;
      while ((ch = table.exchange(nullptr)) == nullptr) {
      }
      for (volatile int pause = i % 64; pause > 0;) pause = pause - 1;
      auto v = ch->try_recv();
      empty += !v && v.error() == chan_errc::empty;
      done = i;
    }
  });
  for (int i = 1; i <= rounds; ++i) {
    auto ch = make_chan<int>(1);
    ch.send(1);
    table = &ch;
    for (volatile int pause = i / 64 % 64; pause > 0;) pause = pause - 1;
    ch.close();
    ch.recv();
    while (done != i) std::this_thread::yield();
  }
  observer.join();
  EXPECT_EQ(empty, 0);
}

}  // namespace
