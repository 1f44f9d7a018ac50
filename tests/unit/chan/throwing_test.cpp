// Move constructors that throw, at each point where a channel calls them: the operation that called it says so, no
// other value is lost, and nobody waits for what has come. And those that wait, which is fatal.

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "chan/channel.h"
#include "runnel/chan.h"
#include "runnel/runnel.h"
#include "runnel/select.h"
#include "support/counted.h"
#include "support/death.h"
#include "support/wait.h"
#include "support/waiting.h"

namespace {

using namespace std::chrono_literals;
using runnel::chan;
using runnel::make_chan;
using runnel::run;
using test::broken_move;
using test::counted;

class throwing : public testing::TestWithParam<int> {
 protected:
  template <class F>
  static void in_run(F f) {
    test::no_counted_left watch;
    run({.max_procs = GetParam()}, f);
  }
};

INSTANTIATE_TEST_SUITE_P(procs, throwing, testing::Values(1, 4),
                         [](const auto& param) { return std::to_string(param.param); });

// Sends and receives in every way that it can.
void expect_usable(const chan<counted>& ch) {
  EXPECT_EQ(ch.len(), 0U);
  std::size_t n = ch.cap();
  for (std::size_t i = 0; i < n; ++i) EXPECT_TRUE(ch.try_send(counted(static_cast<int>(i))));
  EXPECT_FALSE(ch.try_send(counted(-2)));
  for (std::size_t i = 0; i < n; ++i) EXPECT_EQ(ch.try_recv()->value(), static_cast<int>(i));
  EXPECT_FALSE(ch.try_recv());
  test::waiting_goroutines waiting;
  waiting.go([&] { EXPECT_EQ(ch.recv()->value(), 77); });
  ch.send(counted(77));
  waiting.wait();
}

TEST_P(throwing, into_the_ring_reaches_the_sender) {
  in_run([] {
    auto ch = make_chan<counted>(2);
    ch.send(counted(1));
    EXPECT_THROW(ch.send(counted(2, 1)), broken_move);
    EXPECT_EQ(ch.len(), 1U);
    counted v(3, 1);
    EXPECT_THROW(ch.try_send(v), broken_move);
    EXPECT_THROW(runnel::select(runnel::send(ch, counted(4, 1))), broken_move);
    EXPECT_THROW(runnel::select(runnel::send(ch, counted(5, 1)), runnel::timeout(1h)), broken_move);
    EXPECT_EQ(v.value(), 3);
    ch.send(std::move(v));
    EXPECT_EQ(ch.recv()->value(), 1);
    EXPECT_EQ(ch.recv()->value(), 3);
    expect_usable(ch);
  });
}

TEST_P(throwing, from_the_ring_reaches_the_receiver_and_loses_that_value_alone) {
  in_run([] {
    auto ch = make_chan<counted>(3);
    for (int i = 0; i < 3; ++i) ch.send(counted(i, i == 1 ? 2 : 0));
    EXPECT_EQ(ch.recv()->value(), 0);
    EXPECT_THROW(ch.recv(), broken_move);
    EXPECT_EQ(ch.len(), 1U);
    EXPECT_EQ(ch.recv()->value(), 2);
    std::optional<counted> out;
    ch.send(counted(3, 2));
    EXPECT_THROW(runnel::select(runnel::recv(ch, out)), broken_move);
    ch.send(counted(4, 2));
    EXPECT_THROW(ch.try_recv(), broken_move);
    EXPECT_FALSE(out);
    expect_usable(ch);
  });
}

TEST_P(throwing, out_of_what_was_received_reaches_the_receiver) {
  in_run([] {
    auto ch = make_chan<counted>(1);
    ch.send(counted(1, 3));
    EXPECT_THROW(ch.recv(), broken_move);
    ch.send(counted(2, 3));
    std::optional<counted> out;
    EXPECT_THROW(runnel::select(runnel::recv(ch, out)), broken_move);
    ch.send(counted(3, 3));
    EXPECT_THROW(ch.begin(), broken_move);
    expect_usable(ch);
  });
}

TEST_P(throwing, from_sender_to_a_waiting_receiver_reaches_the_sender_and_the_receiver_waits_on) {
  in_run([] {
    for (std::size_t capacity : {0, 2}) {
      auto ch = make_chan<counted>(capacity);
      test::waiting_goroutines waiting;
      std::vector<int> got;
      waiting.go([&] { got.push_back(ch.recv()->value()); });
      EXPECT_THROW(ch.send(counted(1, 1)), broken_move);
      EXPECT_TRUE(test::eventually([&] { return !ch.core()->receivers.empty(); }));
      EXPECT_THROW(ch.send(counted(2, 1)), broken_move);
      ch.send(counted(3));
      waiting.wait();
      EXPECT_EQ(got, std::vector{3});
      waiting.go([&] { got.push_back(ch.recv_for(1h)->value()); });
      EXPECT_THROW(ch.send(counted(4, 1)), broken_move);
      ch.send(counted(5));
      waiting.wait();
      EXPECT_EQ(got.back(), 5);
      expect_usable(ch);
    }
  });
}

TEST_P(throwing, from_a_waiting_sender_to_a_receiver_reaches_the_receiver_and_the_sender_waits_on) {
  in_run([] {
    auto ch = make_chan<counted>();
    test::waiting_goroutines waiting;
    waiting.go([&] {
      counted v(1, 1);
      EXPECT_TRUE(ch.send_for(v, 1h));
      EXPECT_EQ(v.value(), counted::gone);
    });
    EXPECT_THROW(ch.recv(), broken_move);
    EXPECT_EQ(ch.recv()->value(), 1) << "it was still the sender's";
    waiting.wait();
    expect_usable(ch);
  });
}

TEST_P(throwing, from_a_waiting_sender_into_the_ring_reaches_the_sender) {
  in_run([] {
    auto ch = make_chan<counted>(1);
    ch.send(counted(0));
    test::waiting_goroutines waiting;
    waiting.go([&] { EXPECT_THROW(ch.send(counted(1, 1, true)), broken_move); });
    EXPECT_EQ(ch.recv()->value(), 0) << "the receiver has its value and knows nothing of it";
    waiting.wait();
    expect_usable(ch);
  });
}

TEST_P(throwing, once_from_a_waiting_sender_into_the_ring_is_tried_anew) {
  in_run([] {
    auto ch = make_chan<counted>(1);
    ch.send(counted(0));
    test::waiting_goroutines waiting;
    waiting.go([&] { ch.send(counted(1, 1)); });
    EXPECT_EQ(ch.recv()->value(), 0);
    EXPECT_EQ(ch.recv()->value(), 1);
    waiting.wait();
    expect_usable(ch);
  });
}

TEST_P(throwing, from_the_ring_lets_a_sender_that_waits_into_it) {
  in_run([] {
    auto ch = make_chan<counted>(1);
    ch.send(counted(0, 2));
    test::waiting_goroutines waiting;
    waiting.go([&] { ch.send(counted(1)); });
    EXPECT_THROW(ch.recv(), broken_move);
    waiting.wait();
    EXPECT_EQ(ch.recv()->value(), 1);
    expect_usable(ch);
  });
}

// --- nobody else may wait for what there is room for ---

TEST_P(throwing, from_a_waiting_sender_into_the_ring_leaves_the_place_to_the_next_sender) {
  in_run([] {
    auto ch = make_chan<counted>(1);
    ch.send(counted(0));
    test::waiting_goroutines first, second;
    first.go([&] { EXPECT_THROW(ch.send(counted(1, 1, true)), broken_move); });
    second.go([&] { ch.send(counted(2)); });
    EXPECT_EQ(ch.recv()->value(), 0);
    EXPECT_TRUE(second.end_soon()) << "waits although there is room";
    EXPECT_EQ(ch.recv()->value(), 2);
    second.wait();
    first.wait();
    expect_usable(ch);
  });
}

TEST_P(throwing, in_a_select_that_sends_leaves_the_place_to_the_next_sender) {
  in_run([] {
    auto ch = make_chan<counted>(1), other = make_chan<counted>(1);
    ch.send(counted(0));
    std::optional<counted> out;
    test::waiting_goroutines first, second;
    first.go([&] {
      try {
        runnel::select(runnel::send(ch, counted(1, 1, true)), runnel::recv(other, out));
      } catch (const broken_move&) {
      }
    });
    second.go([&] { ch.send(counted(2)); });
    EXPECT_EQ(ch.recv()->value(), 0);
    EXPECT_TRUE(second.end_soon()) << "waits although there is room";
    EXPECT_EQ(ch.recv()->value(), 2);
    second.wait();
    first.wait();
  });
}

// The first sender is a select that, woken because the receiver's move has thrown, finds its other case ready.
TEST_P(throwing, from_the_ring_leaves_the_place_to_senders_whatever_the_first_of_them_does) {
  in_run([] {
    for (int i = 0; i < 20; ++i) {
      auto ch = make_chan<counted>(1);
      auto other = make_chan<int>();
      ch.send(counted(0, 2));
      counted v(1);
      std::size_t taken = 9;
      test::waiting_goroutines first, second;
      first.go(
          [&] { taken = runnel::select(runnel::send(ch, std::move(v)), runnel::recv(other)); });
      second.go([&] { ch.send(counted(2)); });
      EXPECT_THROW(ch.recv(), broken_move);
      runnel::wait_group wg;
      wg.go([&] { other.send(1); });
      first.wait();
      if (taken == 0) {
        EXPECT_EQ(other.recv(), 1);
        EXPECT_EQ(ch.recv()->value(), 1);
      }
      wg.wait();
      EXPECT_TRUE(second.end_soon()) << "waits although there is room";
      EXPECT_EQ(ch.recv()->value(), 2);
      second.wait();
    }
  });
}

// --- in a select ---

TEST_P(throwing, into_a_waiting_select_reaches_the_sender_and_the_select_waits_on) {
  in_run([] {
    auto ch = make_chan<counted>(), other = make_chan<counted>();
    test::waiting_goroutines waiting;
    std::optional<counted> out;
    waiting.go([&] {
      EXPECT_EQ(runnel::select(runnel::recv(ch, out), runnel::recv(other, out)), 1U);
      EXPECT_EQ(out->value(), 2);
    });
    EXPECT_THROW(ch.send(counted(1, 1)), broken_move);
    other.send(counted(2));
    waiting.wait();
    EXPECT_FALSE(ch.try_send(counted(3))) << "nothing of the select is left behind";
    expect_usable(ch);
    expect_usable(other);
  });
}

TEST_P(throwing, out_of_a_waiting_select_reaches_the_receiver_and_the_select_waits_on) {
  in_run([] {
    auto ch = make_chan<counted>(), other = make_chan<counted>();
    test::waiting_goroutines waiting;
    counted a(1, 1), b(2);
    waiting.go([&] {
      EXPECT_EQ(runnel::select(runnel::send(ch, std::move(a)), runnel::send(other, std::move(b))),
                0U);
    });
    EXPECT_THROW(ch.recv(), broken_move);
    EXPECT_EQ(ch.recv()->value(), 1);
    waiting.wait();
    EXPECT_EQ(b.value(), 2);
    EXPECT_FALSE(other.try_recv());
    expect_usable(ch);
  });
}

TEST_P(throwing, while_a_select_holds_all_its_locks_releases_them) {
  in_run([] {
    // A frozen or claimed node would do as well: the first look is wrong, the second under all locks.
    auto a = make_chan<counted>(1), b = make_chan<counted>(1);
    for (int i = 0; i < 50; ++i) {
      a.send(counted(1, 2));
      b.send(counted(2, 2));
      std::optional<counted> out;
      EXPECT_THROW(runnel::select(runnel::recv(a, out), runnel::recv(b, out), runnel::otherwise),
                   broken_move);
      EXPECT_THROW(runnel::select(runnel::recv(a, out), runnel::recv(b, out), runnel::otherwise),
                   broken_move);
      EXPECT_EQ(runnel::select(runnel::recv(a, out), runnel::recv(b, out), runnel::otherwise), 2U);
    }
    expect_usable(a);
    expect_usable(b);
  });
}

// --- what a move constructor may call ---

TEST(move_constructors, may_call_what_does_not_wait) {
  struct caller {
    explicit caller(int v) : value(v) {}
    caller(caller&& from) : value(from.value) {
      runnel::yield();
      runnel::blocking([] {});
      runnel::go([] {});
      EXPECT_GE(runnel::max_procs(), 1);
    }
    int value;
  };
  for (int procs : {1, 4}) {
    run({.max_procs = procs}, [] {
      for (std::size_t capacity : {0, 3}) {
        auto ch = make_chan<caller>(capacity);
        runnel::go([ch] {
          for (int i = 0; i < 100; ++i) ch.send(caller(i));
          ch.close();
        });
        for (int i = 0; i < 100; ++i) EXPECT_EQ(ch.recv()->value, i);
      }
    });
  }
}

using move_constructors_in_own_process = test::in_own_process;

template <class F>
struct moved_with {
  moved_with() = default;
  moved_with(moved_with&&) { F()(); }
};

struct sleep_in_it {
  void operator()() const { runnel::sleep(1ms); }
};
struct lock_in_it {
  void operator()() const {
    runnel::wait_group never;
    never.add(1);
    never.wait();
  }
};
struct select_in_it {
  void operator()() const { runnel::select(runnel::timeout(1ms)); }
};

constexpr auto waits = "must not wait";

TEST_F(move_constructors_in_own_process, that_wait_are_fatal) {
  EXPECT_EXIT(run([] { make_chan<moved_with<sleep_in_it>>(1).send({}); }), test::exits_with_2,
              waits);
  EXPECT_EXIT(run([] { make_chan<moved_with<lock_in_it>>(1).send({}); }), test::exits_with_2,
              waits);
  EXPECT_EXIT(run([] { make_chan<moved_with<select_in_it>>(1).send({}); }), test::exits_with_2,
              waits);
  EXPECT_EXIT(run([] {
                auto ch = make_chan<moved_with<sleep_in_it>>();
                runnel::go([ch] { ch.recv(); });
                ch.send({});
              }),
              test::exits_with_2, waits);
  EXPECT_EXIT(run([] {
                auto ch = make_chan<moved_with<sleep_in_it>>(1);
                runnel::select(runnel::send(ch, moved_with<sleep_in_it>()));
              }),
              test::exits_with_2, waits);
}

// Its own channel, or another that nobody else uses: the order of locks would be the program's.
struct other_channel {
  other_channel() = default;
  other_channel(other_channel&&) { make_chan<int>(1).send(1); }
};

struct same_channel {
  same_channel() = default;
  same_channel(same_channel&&) { here().recv(); }
  static chan<same_channel>& here() {
    static auto ch = make_chan<same_channel>(2);
    return ch;
  }
};

constexpr auto uses_channel = "channel used by the move constructor of a channel's element";

TEST_F(move_constructors_in_own_process, that_use_channels_are_fatal) {
  EXPECT_EXIT(run([] { make_chan<other_channel>(1).send({}); }), test::exits_with_2, uses_channel);
  EXPECT_EXIT(run([] { same_channel::here().send({}); }), test::exits_with_2, uses_channel);
  EXPECT_EXIT(run([] {
                test::waiting_goroutines waiting;
                waiting.go([] { same_channel::here().recv(); });
                same_channel::here().send({});
              }),
              test::exits_with_2, uses_channel);
}

// What is moved from is destroyed under the same lock.
struct destroyed_with_a_channel {
  destroyed_with_a_channel() = default;
  destroyed_with_a_channel(const destroyed_with_a_channel&) {}
  ~destroyed_with_a_channel() {
    if (std::exchange(armed, false)) here().try_recv();
  }
  static inline bool armed = false;
  static chan<destroyed_with_a_channel>& here() {
    static auto ch = make_chan<destroyed_with_a_channel>(2);
    return ch;
  }
};

TEST_F(move_constructors_in_own_process, followed_by_a_destructor_that_uses_the_channel_are_fatal) {
  EXPECT_EXIT(run([] {
                auto& ch = destroyed_with_a_channel::here();
                ch.send({});
                ch.send({});
                destroyed_with_a_channel::armed = true;
                ch.recv();
              }),
              test::exits_with_2, "channel used by the move constructor of a channel's element");
}

}  // namespace
