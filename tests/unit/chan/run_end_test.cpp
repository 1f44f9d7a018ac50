// A run ends while its goroutines wait at a channel. Those of the next run can use the channel as if they were not
// there: they are never served.

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "runnel/chan.h"
#include "runnel/runnel.h"
#include "runnel/select.h"
#include "support/wait.h"
#include "support/waiting.h"

namespace {

using namespace std::chrono_literals;
using runnel::chan;
using runnel::make_chan;
using runnel::run;

// Frozen goroutines refer to it.
template <class T>
T& immortal(T value) {
  static auto* all = new std::vector<std::unique_ptr<T>>;
  return *all->emplace_back(std::make_unique<T>(std::move(value)));
}

// Leaves goroutines behind that wait, each in one of these ways.
template <class... F>
void leave_behind(F... f) {
  static std::atomic<int> woken{0};
  run({.max_procs = 2}, [&] {
    auto& waiting = *new test::waiting_goroutines;
    (waiting.go([f] {
      f();
      ++woken;
    }),
     ...);
  });
  EXPECT_EQ(woken, 0);
}

void leave_receivers(chan<int>& ch) {
  auto& never = immortal(make_chan<int>());
  leave_behind([&] { ch.recv(); }, [&] { ch.recv_for(1h); },
               [&] { runnel::select(runnel::recv(never), runnel::recv(ch)); },
               [&] { runnel::select(runnel::recv(ch), runnel::timeout(1h)); });
}

void leave_senders(chan<int>& ch) {
  auto& never = immortal(make_chan<int>());
  leave_behind([&] { ch.send(-1); }, [&] { ch.send_for(-2, 1h); },
               [&] { runnel::select(runnel::recv(never), runnel::send(ch, -3)); },
               [&] { runnel::select(runnel::send(ch, -4), runnel::timeout(1h)); });
}

TEST(end_of_a_run, receivers_it_left_behind_get_nothing) {
  auto& ch = immortal(make_chan<int>());
  leave_receivers(ch);
  run({.max_procs = 2}, [&] {
    EXPECT_FALSE(ch.try_send(1));
    EXPECT_FALSE(ch.send_for(1, 1ms));
    runnel::go([&] { ch.send(2); });
    EXPECT_EQ(ch.recv(), 2);
    test::waiting_goroutines waiting;
    waiting.go([&] { EXPECT_EQ(ch.recv(), 3); });
    ch.send(3);
    waiting.wait();
  });
}

TEST(end_of_a_run, receivers_it_left_behind_take_nothing_from_the_buffer) {
  auto& ch = immortal(make_chan<int>(2));
  leave_receivers(ch);
  run([&] {
    EXPECT_TRUE(ch.try_send(1));
    EXPECT_TRUE(ch.try_send(2));
    EXPECT_FALSE(ch.try_send(3));
    EXPECT_EQ(ch.recv(), 1);
    EXPECT_EQ(ch.recv(), 2);
  });
}

TEST(end_of_a_run, senders_it_left_behind_send_nothing) {
  for (std::size_t capacity : {0, 2}) {
    auto& ch = immortal(make_chan<int>(capacity));
    for (std::size_t i = 0; i < capacity; ++i) ch.send(static_cast<int>(i));
    leave_senders(ch);
    run({.max_procs = 2}, [&] {
      for (std::size_t i = 0; i < capacity; ++i) EXPECT_EQ(ch.recv(), static_cast<int>(i));
      EXPECT_FALSE(ch.try_recv());
      EXPECT_FALSE(ch.recv_for(1ms));
      runnel::go([&] { ch.send(7); });
      EXPECT_EQ(ch.recv(), 7);
    });
  }
}

TEST(end_of_a_run, a_select_of_the_next_run_does_not_meet_those_left_behind) {
  auto& in = immortal(make_chan<int>());
  auto& out = immortal(make_chan<int>());
  leave_receivers(in);
  leave_senders(out);
  run({.max_procs = 2}, [&] {
    EXPECT_EQ(runnel::select(runnel::send(in, 1), runnel::recv(out), runnel::otherwise), 2U);
    EXPECT_EQ(runnel::select(runnel::send(in, 1), runnel::recv(out), runnel::timeout(1ms)), 2U);
    test::waiting_goroutines waiting;
    std::optional<int> got;
    waiting.go([&] { runnel::select(runnel::send(in, 1), runnel::recv(out, got)); });
    out.send(5);
    waiting.wait();
    EXPECT_EQ(got, 5);
  });
}

TEST(end_of_a_run, a_plain_thread_does_not_meet_those_left_behind) {
  auto& ch = immortal(make_chan<int>());
  leave_receivers(ch);
  EXPECT_FALSE(ch.try_send(1));
  EXPECT_FALSE(ch.send_for(1, 1ms));
  std::thread t([&] { EXPECT_EQ(ch.recv(), 4); });
  ch.send(4);
  t.join();
}

TEST(end_of_a_run, leaves_a_channel_that_can_be_closed) {
  auto& in = immortal(make_chan<int>());
  auto& out = immortal(make_chan<int>());
  leave_receivers(in);
  leave_senders(out);
  run([&] {
    test::waiting_goroutines waiting;
    waiting.go([&] { EXPECT_FALSE(in.recv()); });
    in.close();
    out.close();
    waiting.wait();
    EXPECT_FALSE(out.recv());
  });
}

TEST(end_of_a_run, while_goroutines_use_a_channel_leaves_it_unlocked) {
  auto& ch = immortal(make_chan<int>(1));
  for (int i = 0; i < 20; ++i) {
    run({.max_procs = 4}, [&] {
      std::atomic<int>& count = *new std::atomic<int>(0);
      for (int k = 0; k < 4; ++k) {
        runnel::go([&] {
          for (;;) {
            ch.send(1);
            ++count;
          }
        });
        runnel::go([&] {
          for (;;) runnel::select(runnel::recv(ch), runnel::timeout(1ms));
        });
      }
      EXPECT_TRUE(test::eventually([&] { return count > 100; }));
    });
    run([&] {
      while (ch.try_recv()) {
      }
      EXPECT_TRUE(ch.try_send(1));
      EXPECT_EQ(ch.recv(), 1);
    });
  }
}

}  // namespace
