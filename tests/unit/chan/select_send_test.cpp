// Select with cases that send.

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>

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

template <class F>
std::string panic_of(F f) {
  try {
    f();
  } catch (const runnel::runtime_error& e) {
    return e.what();
  }
  return "none";
}

TEST(select_that_sends, sends_if_there_is_room) {
  auto ch = make_chan<int>(1);
  EXPECT_EQ(runnel::select(send(ch, 1)), 0U);
  EXPECT_EQ(runnel::select(send(ch, 2), otherwise), 1U);
  EXPECT_EQ(ch.recv(), 1);
}

TEST(select_that_sends, waits_for_room_or_a_receiver) {
  run({.max_procs = 2}, [] {
    for (std::size_t capacity : {0, 1}) {
      auto ch = make_chan<int>(capacity);
      if (capacity != 0) ch.send(0);
      test::waiting_goroutines waiting;
      int handled = 0;
      waiting.go([&] { EXPECT_EQ(runnel::select(send(ch, 1, [&] { ++handled; })), 0U); });
      if (capacity != 0) {
        EXPECT_EQ(ch.recv(), 0);
      }
      EXPECT_EQ(ch.recv(), 1);
      waiting.wait();
      EXPECT_EQ(handled, 1);
    }
  });
}

TEST(select_that_sends, moves_a_value_only_if_its_case_is_taken) {
  auto full = make_chan<std::unique_ptr<int>>(), open = make_chan<std::unique_ptr<int>>(1);
  auto a = std::make_unique<int>(1), b = std::make_unique<int>(2);
  EXPECT_EQ(runnel::select(send(full, std::move(a)), send(open, std::move(b))), 1U);
  EXPECT_TRUE(a);
  EXPECT_FALSE(b);
  EXPECT_EQ(runnel::select(send(full, std::move(a)), timeout(1us)), 1U);
  EXPECT_TRUE(a);
}

template <class T>
concept sends_an_lvalue =
    requires(const chan<T>& ch, runnel::send_chan<T> view, T& v, runnel::selector& s) {
      runnel::send(ch, v);
      runnel::send(ch, v, [] {});
      runnel::send(view, v);
      s.send(ch, v);
    };

// As try_send and send_for do.
TEST(select_that_sends, takes_a_variable_of_the_element_type_even_if_it_cannot_be_copied) {
  EXPECT_TRUE(sends_an_lvalue<int>);
  EXPECT_TRUE(sends_an_lvalue<std::unique_ptr<int>>);
}

TEST(select_that_sends, moves_a_variable_of_the_element_type_when_its_case_is_taken) {
  auto ch = make_chan<std::string>(1), full = make_chan<std::string>();
  std::string a(100, 'a'), b(100, 'b');
  EXPECT_EQ(runnel::select(send(ch, a), send(full, b)), 0U);
  EXPECT_EQ(a, "");
  EXPECT_EQ(b, std::string(100, 'b'));
}

TEST(select_that_sends, converts_what_is_not_of_the_element_type_and_leaves_constants_alone) {
  auto ch = make_chan<std::string>(1);
  EXPECT_EQ(runnel::select(send(ch, "abc")), 0U);
  EXPECT_EQ(ch.recv(), "abc");
  const std::string constant(100, 'c');
  EXPECT_EQ(runnel::select(send(ch, constant)), 0U);
  EXPECT_EQ(ch.recv(), constant);
  EXPECT_EQ(constant.size(), 100U);
}

// --- closed ---

TEST(select_that_sends, to_a_closed_channel_panics_if_that_case_is_chosen) {
  run([] {
    auto closed = make_chan<int>(1), ready = make_chan<int>(1);
    closed.close();
    EXPECT_EQ(panic_of([&] { runnel::select(send(closed, 1)); }), "send on closed channel");
    EXPECT_EQ(panic_of([&] { runnel::select(send(closed, 1), otherwise); }),
              "send on closed channel");
    int panics = 0, received = 0;
    for (int i = 0; i < 400; ++i) {
      ready.try_send(1);
      std::string panic =
          panic_of([&] { received += runnel::select(send(closed, 1), recv(ready)) == 1; });
      panics += panic == "send on closed channel";
    }
    EXPECT_EQ(panics + received, 400);
    EXPECT_GT(panics, 120);
    EXPECT_GT(received, 120);
  });
}

TEST(select_that_sends, panics_when_the_channel_is_closed_while_it_waits) {
  run({.max_procs = 2}, [] {
    auto ch = make_chan<std::unique_ptr<int>>();
    auto never = make_chan<int>();
    test::waiting_goroutines waiting;
    auto v = std::make_unique<int>(1);
    bool called = false;
    waiting.go([&] {
      EXPECT_EQ(panic_of([&] {
                  runnel::select(send(ch, std::move(v), [&] { called = true; }), recv(never));
                }),
                "send on closed channel");
    });
    ch.close();
    waiting.wait();
    EXPECT_TRUE(v);
    EXPECT_FALSE(called);
    EXPECT_TRUE(never.core()->receivers.empty());
  });
}

TEST(select_that_sends, and_receives_on_one_channel_panics_or_receives_the_end_when_it_is_closed) {
  run({.max_procs = 2}, [] {
    auto ch = make_chan<int>();
    test::waiting_goroutines waiting;
    waiting.go([&] {
      std::optional<int> got = 1;
      std::size_t taken = 9;
      if (panic_of([&] { taken = runnel::select(send(ch, 1), recv(ch, got)); }) == "none") {
        EXPECT_EQ(taken, 1U);
        EXPECT_FALSE(got);
      }
    });
    ch.close();
    waiting.wait();
  });
}

// --- under load ---

TEST(select_that_sends, loses_and_doubles_nothing) {
  for (int procs : {1, 4}) {
    run({.max_procs = procs}, [] {
      const int each = test::scaled(4000);
      for (std::size_t capacity : {0, 2}) {
        auto a = make_chan<int>(capacity), b = make_chan<int>(capacity);
        std::atomic<long> sent{0}, received{0};
        runnel::wait_group senders, receivers;
        for (int k = 0; k < 3; ++k) {
          senders.go([&] {
            for (int i = 1; i <= each; ++i) {
              runnel::select(send(a, i), send(b, i));
              sent += i;
            }
          });
          receivers.go([&] {
            auto left = a, right = b;
            while (left || right) {
              runnel::select(recv(left,
                                  [&](std::optional<int> v) {
                                    if (v) {
                                      received += *v;
                                    } else {
                                      left = {};
                                    }
                                  }),
                             recv(right, [&](std::optional<int> v) {
                               if (v) {
                                 received += *v;
                               } else {
                                 right = {};
                               }
                             }));
            }
          });
        }
        senders.wait();
        a.close();
        b.close();
        receivers.wait();
        EXPECT_EQ(sent, received);
      }
    });
  }
}

}  // namespace
