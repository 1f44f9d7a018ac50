// The runtime's lock: exclusion, and nobody sleeps for ever.

#include "platform/lock.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <thread>
#include <vector>

#include "platform/thread.h"
#include "support/spin_until.h"

namespace runnel::platform {
namespace {

TEST(lock_test, only_one_of_eight_threads_is_inside) {
  constexpr int threads = 8, rounds = 20'000;
  lock l;
  long count = 0;  // guarded by l
  std::vector<std::thread> pool;
  for (int i = 0; i < threads; ++i) {
    pool.emplace_back([&] {
      for (int r = 0; r < rounds; ++r) {
        lock_guard hold(l);
        ++count;
      }
    });
  }
  for (auto& t : pool) t.join();
  EXPECT_EQ(count, long{threads} * rounds);
}

TEST(lock_test, exclusion_holds_when_the_kernel_switches_inside) {
  constexpr int threads = 8, rounds = 500;
  lock l;
  long count = 0;  // guarded by l
  std::vector<std::thread> pool;
  for (int i = 0; i < threads; ++i) {
    pool.emplace_back([&] {
      for (int r = 0; r < rounds; ++r) {
        lock_guard hold(l);
        long seen = count;
        sched_yield();  // the others give up spinning and sleep
        count = seen + 1;
      }
    });
  }
  for (auto& t : pool) t.join();
  EXPECT_EQ(count, long{threads} * rounds);
}

TEST(lock_test, try_acquire_fails_while_it_is_held) {
  lock l;
  ASSERT_TRUE(l.try_acquire());
  EXPECT_FALSE(l.try_acquire());
  std::thread([&] { EXPECT_FALSE(l.try_acquire()); }).join();
  l.release();
  EXPECT_TRUE(l.try_acquire());
  l.release();
}

TEST(lock_test, a_guard_releases_at_its_end) {
  lock l;
  {
    lock_guard hold(l);
    EXPECT_FALSE(l.try_acquire());
  }
  EXPECT_TRUE(l.try_acquire());
  l.release();
}

TEST(lock_test, every_sleeper_gets_it_in_the_end) {
  constexpr int sleepers = 4;
  lock l;
  std::atomic<int> tids[sleepers] = {};
  int count = 0;  // guarded by l
  l.acquire();
  std::vector<std::thread> pool;
  for (auto& tid : tids) {
    pool.emplace_back([&] {
      tid = thread_id();
      lock_guard hold(l);
      ++count;
    });
  }
  for (auto& tid : tids) {
    EXPECT_TRUE(test::spin_until([&] { return tid != 0 && thread_sleeps(tid); }));
  }
  EXPECT_FALSE(l.try_acquire());
  EXPECT_EQ(count, 0);
  l.release();
  for (auto& t : pool) t.join();
  EXPECT_EQ(count, sleepers);
}

TEST(lock_test, what_was_written_under_it_is_seen_under_it) {
  lock l;
  int ball = 0;  // guarded by l: even, the one's turn; odd, the other's
  constexpr int exchanges = 2000;
  auto play = [&](int parity) {
    for (;;) {
      lock_guard hold(l);
      if (ball >= exchanges) return;
      if (ball % 2 == parity) ++ball;
      sched_yield();
    }
  };
  std::thread other([&] { play(1); });
  play(0);
  other.join();
  EXPECT_EQ(ball, exchanges);
}

}  // namespace
}  // namespace runnel::platform
