// Select: which case is taken, and what becomes of the others. Sending cases: select_send_test.cpp.

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "chan/channel.h"
#include "runnel/chan.h"
#include "runnel/runnel.h"
#include "runnel/select.h"
#include "support/scale.h"
#include "support/wait.h"
#include "support/waiting.h"

namespace {

using namespace std::chrono_literals;
using runnel::chan;
using runnel::make_chan;
using runnel::otherwise;
using runnel::recv;
using runnel::run;
using runnel::send;
using runnel::timeout;
using runnel::sched::wait_reason;

template <class T>
bool nobody_waits_at(const chan<T>& ch) {
  return ch.core()->senders.empty() && ch.core()->receivers.empty();
}

class selecting : public testing::TestWithParam<int> {
 protected:
  template <class F>
  static void in_run(F f) {
    run({.max_procs = GetParam()}, f);
  }
};

INSTANTIATE_TEST_SUITE_P(procs, selecting, testing::Values(1, 4),
                         [](const auto& param) { return std::to_string(param.param); });

TEST_P(selecting, takes_the_case_that_is_ready) {
  in_run([] {
    auto a = make_chan<int>(1), b = make_chan<int>(1), c = make_chan<int>(1);
    b.send(5);
    std::optional<int> x, y, z;
    EXPECT_EQ(runnel::select(recv(a, x), recv(b, y), recv(c, z)), 1U);
    EXPECT_EQ(y, 5);
    EXPECT_FALSE(x || z);
    EXPECT_EQ(b.len(), 0U);
  });
}

TEST_P(selecting, chooses_among_those_that_are_ready_with_equal_probability) {
  in_run([] {
    constexpr int rounds = 4000;
    auto a = make_chan<int>(1), b = make_chan<int>(1), c = make_chan<int>(1), d = make_chan<int>(1);
    int chosen[5] = {};
    for (int i = 0; i < rounds; ++i) {
      a.try_send(1);
      b.try_send(1);
      d.try_recv();
      ++chosen[runnel::select(recv(a), recv(b), recv(c), send(d, 1), otherwise)];
    }
    EXPECT_EQ(chosen[2], 0);
    EXPECT_EQ(chosen[4], 0);
    for (int k : {0, 1, 3}) {
      EXPECT_GT(chosen[k], rounds / 3 - rounds / 12) << k;  // 1333 of 4000, deviation 30
      EXPECT_LT(chosen[k], rounds / 3 + rounds / 12) << k;
    }
  });
}

TEST_P(selecting, waits_until_a_case_can_proceed) {
  in_run([] {
    auto a = make_chan<int>(), b = make_chan<int>();
    test::waiting_goroutines waiting;
    waiting.go(wait_reason::select, [&] {
      std::optional<int> got;
      EXPECT_EQ(runnel::select(recv(a), recv(b, got)), 1U);
      EXPECT_EQ(got, 8);
      EXPECT_TRUE(nobody_waits_at(a) && nobody_waits_at(b));
    });
    b.send(8);
    waiting.wait();
    EXPECT_FALSE(a.try_send(1));
  });
}

TEST_P(selecting, sees_that_a_channel_is_closed) {
  in_run([] {
    auto a = make_chan<int>(2), never = make_chan<int>();
    a.send(1);
    a.close();
    std::optional<int> got = 7;
    EXPECT_EQ(runnel::select(recv(never), recv(a, got)), 1U);
    EXPECT_EQ(got, 1);
    EXPECT_EQ(runnel::select(recv(never), recv(a, got)), 1U);
    EXPECT_EQ(got, std::nullopt);
    bool called = false;
    EXPECT_EQ(runnel::select(recv(a, [&](std::optional<int> v) { called = !v; })), 0U);
    EXPECT_TRUE(called);
  });
}

TEST_P(selecting, is_woken_by_a_close) {
  in_run([] {
    auto a = make_chan<int>(), b = make_chan<int>();
    test::waiting_goroutines waiting;
    for (int i = 0; i < 3; ++i) {
      waiting.go([&] {
        std::optional<int> got = 1;
        EXPECT_EQ(runnel::select(recv(a), recv(b, got), timeout(1h)), 1U);
        EXPECT_FALSE(got);
      });
    }
    b.close();
    waiting.wait();
    EXPECT_TRUE(nobody_waits_at(a));
  });
}

TEST_P(selecting, passes_over_nil_channels) {
  in_run([] {
    chan<int> nil;
    auto ch = make_chan<int>(1);
    EXPECT_EQ(runnel::select(recv(nil), send(nil, 1), otherwise), 2U);
    EXPECT_EQ(runnel::select(recv(nil), send(nil, 1), timeout(100us)), 2U);
    ch.send(1);
    EXPECT_EQ(runnel::select(recv(nil), recv(ch), recv(nil)), 1U);
    test::waiting_goroutines waiting;
    waiting.go(
        [&] { EXPECT_EQ(runnel::select(recv(nil), send(nil, 1), recv(ch), recv(nil)), 2U); });
    ch.send(2);
    waiting.wait();
  });
}

TEST_P(selecting, of_nothing_that_can_ever_be_blocks_for_ever) {
  in_run([] {
    auto* waiting = new test::waiting_goroutines;  // as long as they wait
    waiting->go(wait_reason::select_no_cases, [] { runnel::select(); });
    waiting->go(wait_reason::select, [] { runnel::select(recv(chan<int>())); });
    waiting->go(wait_reason::select,
                [] { runnel::select(recv(chan<int>()), send(chan<int>(), 1)); });
    runnel::sleep(1ms);
    EXPECT_EQ(runnel::num_goroutine(), 4U);
  });
}

TEST_P(selecting, with_otherwise_never_waits) {
  in_run([] {
    auto ch = make_chan<int>();
    int called = 0;
    EXPECT_EQ(runnel::select(recv(ch), send(ch, 1), otherwise([&] { ++called; })), 2U);
    EXPECT_EQ(runnel::select(otherwise([&] { ++called; }), recv(ch)), 0U);
    EXPECT_EQ(runnel::select(otherwise), 0U);
    EXPECT_EQ(called, 2);
    EXPECT_TRUE(nobody_waits_at(ch));
    test::waiting_goroutines waiting;
    waiting.go([&] { ch.send(3); });
    EXPECT_EQ(runnel::select(recv(ch), otherwise([&] { ++called; })), 0U);
    EXPECT_EQ(called, 2);
    waiting.wait();
  });
}

// --- timeouts ---

TEST_P(selecting, takes_a_timeout_when_its_time_has_passed_and_not_before) {
  in_run([] {
    auto ch = make_chan<int>();
    auto begin = test::clock::now();
    int called = 0;
    EXPECT_EQ(runnel::select(recv(ch), timeout(3ms, [&] { ++called; })), 1U);
    EXPECT_GE(test::clock::now() - begin, 3ms);
    EXPECT_EQ(called, 1);
  });
}

TEST_P(selecting, takes_the_shortest_of_several_timeouts) {
  in_run([] {
    auto ch = make_chan<int>();
    EXPECT_EQ(runnel::select(timeout(1h), recv(ch), timeout(1ms), timeout(2h)), 2U);
    EXPECT_EQ(runnel::select(timeout(std::chrono::hours::max()), timeout(0ms), recv(ch)), 1U);
    EXPECT_EQ(runnel::select(timeout(-5ms), recv(ch)), 0U);
  });
}

TEST_P(selecting, prefers_a_case_that_is_ready_to_a_timeout) {
  in_run([] {
    auto ch = make_chan<int>(1);
    for (auto d : {1h, 0h, -1h}) {
      ch.send(1);
      EXPECT_EQ(runnel::select(timeout(d), recv(ch)), 1U);
    }
  });
}

TEST_P(selecting, leaves_nothing_behind_when_the_time_is_over) {
  in_run([] {
    auto a = make_chan<int>(), b = make_chan<int>(1);
    b.send(1);
    for (int i = 0; i < 50; ++i) {
      EXPECT_EQ(runnel::select(recv(a), send(a, 1), send(b, 2), timeout(20us)), 3U);
      EXPECT_TRUE(nobody_waits_at(a) && nobody_waits_at(b));
      EXPECT_FALSE(a.try_send(1));
      EXPECT_FALSE(a.try_recv());
    }
  });
}

// The timer is set by whoever goes on after the select has left its stack, and may fire at once.
TEST_P(selecting, may_wait_for_nothing_but_the_time) {
  in_run([] {
    runnel::wait_group wg;
    for (int i = 0; i < 50; ++i) {
      wg.go([i] {
        struct trample {
          [[gnu::noinline]] static void the_stack() {
            volatile char junk[6000];
            for (auto& c : junk) c = 0x5a;
          }
        };
        chan<int> nil;
        for (int k = 0; k < test::scaled(500); ++k) {
          auto soon = std::chrono::nanoseconds(1 + (7 * k + i) % 100);
          std::size_t taken =
              k % 2 == 0 ? runnel::select(timeout(soon)) : runnel::select(timeout(soon), recv(nil));
          EXPECT_EQ(taken, 0U);
          trample::the_stack();
        }
      });
    }
    wg.wait();
  });
}

TEST_P(selecting, agrees_with_its_partner_on_whether_it_timed_out) {
  in_run([] {
    auto a = make_chan<int>(), b = make_chan<int>();
    const int rounds = test::scaled(2000);
    std::atomic<long> sent{0}, received{0};
    runnel::wait_group wg;
    for (int k = 0; k < 2; ++k) {
      wg.go([&] {
        for (int i = 0; i < rounds; ++i) {
          received +=
              runnel::select(recv(a), recv(b), timeout(std::chrono::microseconds(i % 20))) < 2;
        }
      });
      wg.go([&] {
        for (int i = 0; i < rounds; ++i) {
          sent += (i % 2 == 0 ? a : b).send_for(1, std::chrono::microseconds(i % 17));
        }
      });
    }
    wg.wait();
    EXPECT_EQ(sent, received);
    EXPECT_TRUE(nobody_waits_at(a) && nobody_waits_at(b));
  });
}

// --- one channel several times ---

TEST_P(selecting, may_receive_from_one_channel_in_several_cases) {
  in_run([] {
    auto ch = make_chan<int>();
    int chosen[2] = {};
    for (int i = 0; i < 400; ++i) {
      test::waiting_goroutines waiting;
      std::optional<int> a, b;
      waiting.go([&] { ++chosen[runnel::select(recv(ch, a), recv(ch, b))]; });
      ch.send(i);
      waiting.wait();
      EXPECT_NE(a.has_value(), b.has_value());
      EXPECT_TRUE(nobody_waits_at(ch));
    }
    auto ready = make_chan<int>(400);
    for (int i = 0; i < 400; ++i) ready.send(i);
    chosen[0] = chosen[1] = 0;
    for (int i = 0; i < 400; ++i) ++chosen[runnel::select(recv(ready), recv(ready))];
    EXPECT_GT(chosen[0], 120);
    EXPECT_GT(chosen[1], 120);
  });
}

TEST_P(selecting, may_send_to_and_receive_from_one_channel_and_does_not_meet_itself) {
  in_run([] {
    auto ch = make_chan<int>();
    EXPECT_EQ(runnel::select(send(ch, 1), recv(ch), otherwise), 2U);
    EXPECT_EQ(runnel::select(send(ch, 1), recv(ch), timeout(1ms)), 2U);
    test::waiting_goroutines waiting;
    std::optional<int> got;
    waiting.go([&] { EXPECT_EQ(runnel::select(send(ch, 1), recv(ch, got)), 1U); });
    ch.send(2);
    waiting.wait();
    EXPECT_EQ(got, 2);
    waiting.go([&] { EXPECT_EQ(runnel::select(recv(ch), send(ch, 3)), 1U); });
    EXPECT_EQ(ch.recv(), 3);
    waiting.wait();
    EXPECT_TRUE(nobody_waits_at(ch));
  });
}

TEST_P(selecting, meets_another_select) {
  in_run([] {
    auto a = make_chan<int>(), b = make_chan<int>();
    for (int i = 0; i < 200; ++i) {
      test::waiting_goroutines waiting;
      std::size_t first = 9, second;
      std::optional<int> got;
      waiting.go([&] { first = runnel::select(send(a, 1), recv(b, got)); });
      second = runnel::select(recv(a), send(b, 2));
      waiting.wait();
      EXPECT_EQ(first, second);
      EXPECT_EQ(got.has_value(), first == 1);
    }
  });
}

TEST_P(selecting, takes_its_turn_among_those_who_wait) {
  in_run([] {
    auto ch = make_chan<int>(), never = make_chan<int>();
    std::vector<int> got(4, -1);
    test::waiting_goroutines waiting;
    for (int i = 0; i < 4; ++i) {
      waiting.go([&, i] {
        std::optional<int> v;
        if (i % 2 == 0) {
          runnel::select(recv(never), recv(ch, v), timeout(1h));
        } else {
          v = ch.recv();
        }
        got[i] = *v;
      });
    }
    for (int i = 0; i < 4; ++i) ch.send(i);
    waiting.wait();
    EXPECT_EQ(got, (std::vector{0, 1, 2, 3}));
  });
}

// --- handlers ---

TEST_P(selecting, calls_the_handler_of_the_case_taken_and_no_other) {
  in_run([] {
    auto a = make_chan<std::string>(1);
    auto b = make_chan<int>(1);
    a.send("x");
    std::string log;
    auto on_b = [&](std::optional<int>) { log += "b"; };  // by reference: it need not be copyable
    EXPECT_EQ(runnel::select(recv(a, [&](std::optional<std::string> v) { log += v.value(); }),
                             recv(b, on_b), timeout(1h, [&] { log += "t"; })),
              0U);
    EXPECT_EQ(log, "x");
    EXPECT_EQ(runnel::select(recv(b, on_b), otherwise([&] { log += "o"; })), 1U);
    EXPECT_EQ(log, "xo");
  });
}

TEST_P(selecting, lets_what_a_handler_throws_out_and_leaves_the_channels_usable) {
  in_run([] {
    auto ch = make_chan<int>(1), other = make_chan<int>();
    ch.send(1);
    EXPECT_THROW(runnel::select(recv(ch, [](std::optional<int>) { throw std::logic_error("r"); })),
                 std::logic_error);
    EXPECT_THROW(runnel::select(recv(other), timeout(1us, [] { throw std::logic_error("t"); })),
                 std::logic_error);
    EXPECT_THROW(runnel::select(recv(other), otherwise([] { throw std::logic_error("o"); })),
                 std::logic_error);
    EXPECT_TRUE(nobody_waits_at(ch) && nobody_waits_at(other));
    EXPECT_TRUE(ch.try_send(2));
    EXPECT_EQ(ch.recv(), 2);
  });
}

TEST_P(selecting, holds_no_lock_while_a_handler_runs) {
  in_run([] {
    auto ch = make_chan<int>(1), other = make_chan<int>(1);
    ch.send(1);
    runnel::select(recv(other), recv(ch, [&](std::optional<int> v) {
                     ch.send(*v + 1);
                     runnel::select(recv(ch), recv(other));
                     runnel::yield();
                     ch.close();
                   }));
    EXPECT_EQ(ch.recv(), std::nullopt);
  });
}

}  // namespace
