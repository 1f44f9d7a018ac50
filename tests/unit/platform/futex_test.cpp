// Sleeping on a word: who wakes, when it ends, and what it leaves alone.

#include "platform/futex.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <thread>
#include <vector>

#include "platform/clock.h"
#include "platform/thread.h"
#include "support/spin_until.h"

namespace runnel::platform {
namespace {

using test::spin_until;

std::int64_t soon() { return nanotime() + test::patience_ns; }

TEST(futex_test, returns_at_once_if_the_word_differs) {
  std::atomic<std::uint32_t> word{1};
  std::int64_t limit = soon();
  EXPECT_TRUE(futex_wait(word, 0, limit));
  EXPECT_LT(nanotime(), limit);
  EXPECT_TRUE(futex_wait(word, 0));
}

TEST(futex_test, a_deadline_in_the_past_is_over) {
  std::atomic<std::uint32_t> word{0};
  EXPECT_FALSE(futex_wait(word, 0, nanotime() - 1));
  EXPECT_FALSE(futex_wait(word, 0, 0));
  EXPECT_FALSE(futex_wait(word, 0, -1));
  EXPECT_FALSE(futex_wait(word, 0, std::numeric_limits<std::int64_t>::min()));
}

TEST(futex_test, sleeps_until_the_deadline_and_not_less) {
  std::atomic<std::uint32_t> word{0};
  for (std::int64_t ns : {1'000, 1'000'000, 5'000'000}) {
    std::int64_t deadline = nanotime() + ns;
    while (futex_wait(word, 0, deadline)) {
    }
    EXPECT_GE(nanotime(), deadline);
  }
}

TEST(futex_test, a_sleeper_is_woken) {
  std::atomic<std::uint32_t> word{0};
  std::atomic<int> tid{0};
  bool in_time = false;
  std::thread sleeper([&] {
    tid = thread_id();
    std::int64_t limit = soon();
    do in_time = futex_wait(word, 0, limit);
    while (in_time && word == 0);
  });
  EXPECT_TRUE(spin_until([&] { return tid != 0 && thread_sleeps(tid); }));
  word = 1;
  futex_wake(word);
  sleeper.join();
  EXPECT_TRUE(in_time);
}

TEST(futex_test, wakes_as_many_as_it_is_told) {
  constexpr int sleepers = 5;
  std::atomic<std::uint32_t> word{0};
  std::atomic<int> tids[sleepers] = {};
  std::atomic<int> woken{0};
  std::vector<std::thread> pool;
  for (auto& tid : tids) {
    pool.emplace_back([&] {
      tid = thread_id();
      if (futex_wait(word, 0, soon())) ++woken;
    });
  }
  auto asleep = [&] {
    int n = 0;
    for (auto& tid : tids) n += tid != 0 && thread_sleeps(tid);
    return n;
  };
  EXPECT_TRUE(spin_until([&] { return asleep() == sleepers; }));
  futex_wake(word, 2);
  EXPECT_TRUE(spin_until([&] { return woken == 2; }));
  EXPECT_TRUE(spin_until([&] { return asleep() == 3; }));
  EXPECT_EQ(woken, 2);
  futex_wake(word);
  EXPECT_TRUE(spin_until([&] { return woken == 3; }));
  futex_wake(word, sleepers);
  for (auto& t : pool) t.join();
  EXPECT_EQ(woken, sleepers);
}

TEST(futex_test, keeps_errno) {
  std::atomic<std::uint32_t> word{1};
  errno = 1234;
  futex_wait(word, 0);  // the kernel says EAGAIN
  EXPECT_EQ(errno, 1234);
  futex_wait(word, 1, nanotime() + 1000);  // ETIMEDOUT
  EXPECT_EQ(errno, 1234);
  futex_wake(word, 1);
  EXPECT_EQ(errno, 1234);
  // The word may be gone: EFAULT at worst.
  futex_wake(*reinterpret_cast<std::atomic<std::uint32_t>*>(64), 1);
  EXPECT_EQ(errno, 1234);
}

}  // namespace
}  // namespace runnel::platform
