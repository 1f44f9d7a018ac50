// Plain threads on channels: among themselves, with goroutines, and outside of any run.

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "chan/channel.h"
#include "runnel/chan.h"
#include "runnel/runnel.h"
#include "runnel/select.h"
#include "support/counted.h"
#include "support/scale.h"
#include "support/spin_until.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::make_chan;
using runnel::run;
using test::counted;

void join_all(std::vector<std::thread>& threads) {
  for (auto& t : threads) t.join();
}

TEST(plain_threads_on_channels, wait_for_each_other_without_a_run) {
  test::no_counted_left watch;
  for (std::size_t capacity : {0, 1, 4}) {
    auto there = make_chan<counted>(capacity), back = make_chan<counted>(capacity);
    std::thread echo([&] {
      for (counted v : there) back.send(std::move(v));
      back.close();
    });
    for (int i = 0; i < test::scaled(2000); ++i) {
      there.send(counted(i));
      ASSERT_EQ(back.recv()->value(), i);
    }
    there.close();
    EXPECT_FALSE(back.recv());
    echo.join();
  }
}

TEST(plain_threads_on_channels, send_to_goroutines_and_receive_from_them) {
  for (int procs : {1, 4}) {
    run({.max_procs = procs}, [] {
      auto there = make_chan<int>(), back = make_chan<int>(2);
      std::thread t([&] {
        for (int v : there) back.send(2 * v);
        back.close();
      });
      for (int i = 0; i < test::scaled(1000); ++i) {
        there.send(i);
        EXPECT_EQ(back.recv(), 2 * i);
      }
      there.close();
      EXPECT_EQ(back.recv(), std::nullopt);
      runnel::blocking([&] { t.join(); });
    });
  }
}

TEST(plain_threads_on_channels, share_one_with_goroutines) {
  test::no_counted_left watch;
  for (std::size_t capacity : {0, 3}) {
    run({.max_procs = 2}, [&] {
      constexpr int parties = 3;
      const int each = test::scaled(1000);
      auto ch = make_chan<counted>(capacity);
      std::vector<std::atomic<int>> seen(2 * parties * each);
      std::vector<std::thread> senders, receivers;
      runnel::wait_group sending, receiving;
      auto send = [&](int who) {
        for (int i = 0; i < each; ++i) ch.send(counted(who * each + i));
      };
      auto receive = [&] {
        for (counted v : ch) ++seen[v.value()];
      };
      for (int k = 0; k < parties; ++k) {
        sending.go([&, k] { send(k); });
        senders.emplace_back([&, k] { send(parties + k); });
        receiving.go(receive);
        receivers.emplace_back(receive);
      }
      sending.wait();
      runnel::blocking([&] { join_all(senders); });
      ch.close();
      receiving.wait();
      runnel::blocking([&] { join_all(receivers); });
      for (auto& times : seen) EXPECT_EQ(times, 1);
    });
  }
}

TEST(plain_threads_on_channels, find_the_goroutines_of_a_run_that_begins_later) {
  auto ch = make_chan<int>();
  std::thread t([&] { ch.send(5); });
  ASSERT_TRUE(test::spin_until([&] { return !ch.core()->senders.empty(); }));
  EXPECT_EQ(run([&] { return ch.recv().value(); }), 5);
  t.join();
}

TEST(plain_threads_on_channels, select) {
  auto a = make_chan<int>(), b = make_chan<int>(), results = make_chan<int>(8);
  std::thread t([&] {
    for (int i = 0; i < 4; ++i) {
      std::optional<int> got;
      std::size_t taken = runnel::select(runnel::recv(a, got), runnel::recv(b, got));
      results.send(static_cast<int>(taken) * 100 + *got);
    }
  });
  run({.max_procs = 2}, [&] {
    a.send(1);
    b.send(2);
    b.send(3);
    a.send(4);
    EXPECT_EQ(results.recv(), 1);
    EXPECT_EQ(results.recv(), 102);
    EXPECT_EQ(results.recv(), 103);
    EXPECT_EQ(results.recv(), 4);
  });
  t.join();
  EXPECT_TRUE(a.core()->receivers.empty() && b.core()->receivers.empty());
}

TEST(plain_threads_on_channels, select_against_each_other) {
  auto ch = make_chan<int>();
  std::atomic<long> sent{0}, received{0};
  std::vector<std::thread> threads;
  const int rounds = test::scaled(3000);
  for (int k = 0; k < 3; ++k) {
    threads.emplace_back([&] {
      for (int i = 0; i < rounds; ++i) {
        std::size_t taken =
            runnel::select(runnel::send(ch, 1), runnel::recv(ch), runnel::timeout(50us));
        sent += taken == 0;
        received += taken == 1;
      }
    });
  }
  join_all(threads);
  EXPECT_EQ(sent, received);
}

TEST(plain_threads_on_channels, choose_at_random_in_a_select) {
  auto a = make_chan<int>(1), b = make_chan<int>(1), c = make_chan<int>(1);
  int chosen[3] = {};
  for (int i = 0; i < 3000; ++i) {
    a.try_send(1);
    b.try_send(1);
    c.try_send(1);
    ++chosen[runnel::select(runnel::recv(a), runnel::recv(b), runnel::recv(c))];
  }
  for (int n : chosen) EXPECT_GT(n, 800);
}

}  // namespace
