// A thread's bed: permits before, during and after the park, deadlines, and races for the permit.

#include "platform/parker.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "base/backoff.h"
#include "platform/thread.h"
#include "support/scale.h"
#include "support/spin_until.h"

namespace runnel::platform {
namespace {

std::int64_t soon() { return nanotime() + test::patience_ns; }

TEST(parker_test, a_permit_given_before_makes_park_return_at_once) {
  parker bed;
  bed.unpark();
  EXPECT_TRUE(bed.park(0));  // the permit goes before the deadline
  EXPECT_FALSE(bed.park(0));
}

TEST(parker_test, no_more_than_one_permit_is_kept) {
  parker bed;
  for (int i = 0; i < 3; ++i) bed.unpark();
  EXPECT_TRUE(bed.park(nanotime()));
  EXPECT_FALSE(bed.park(nanotime()));
}

TEST(parker_test, park_ends_at_its_deadline) {
  parker bed;
  std::int64_t deadline = nanotime() + 2'000'000;
  EXPECT_FALSE(bed.park(deadline));
  EXPECT_GE(nanotime(), deadline);
}

TEST(parker_test, a_permit_that_comes_after_the_deadline_is_for_the_next_park) {
  parker bed;
  EXPECT_FALSE(bed.park(nanotime()));
  bed.unpark();
  EXPECT_TRUE(bed.park(nanotime()));
}

TEST(parker_test, unpark_wakes_the_sleeper) {
  parker bed;
  std::atomic<int> tid{0};
  bool permitted = false;
  std::thread owner([&] {
    tid = thread_id();
    permitted = bed.park(soon());
  });
  EXPECT_TRUE(test::spin_until([&] { return tid != 0 && thread_sleeps(tid); }));
  bed.unpark();
  owner.join();
  EXPECT_TRUE(permitted);
}

TEST(parker_test, every_permit_of_a_long_race_arrives) {
  constexpr int rounds = 50'000;
  parker ours, theirs;
  int ball = 0;  // passed from hand to hand by the permits
  bool lost = false;
  std::thread other([&] {
    for (int i = 0; i < rounds; ++i) {
      if (!theirs.park(soon())) return;
      ++ball;
      ours.unpark();
    }
  });
  for (int i = 0; i < rounds && !lost; ++i) {
    ++ball;
    theirs.unpark();
    lost = !ours.park(soon());
  }
  other.join();
  EXPECT_FALSE(lost);
  EXPECT_EQ(ball, 2 * rounds);
}

TEST(parker_test, a_permit_that_races_with_the_deadline_is_neither_lost_nor_doubled) {
  constexpr int rounds = 5'000;
  parker bed;
  std::atomic<int> given{0}, asked{0};
  std::thread giver([&] {
    for (int i = 1; i <= rounds; ++i) {
      if (!test::spin_until([&] { return asked == i; })) return;
      for (int spin = i % 500; spin > 0; --spin) base::hardware::pause();
      bed.unpark();
      given = i;
    }
  });
  int early = 0;
  for (int i = 1; i <= rounds; ++i) {
    asked = i;
    bool permitted = bed.park(nanotime() + i % 100 * 100);
    early += permitted;
    if (!permitted) {
      ASSERT_TRUE(bed.park(soon())) << "lost in round " << i;
    }
    ASSERT_TRUE(test::spin_until([&] { return given == i; }));
    ASSERT_FALSE(bed.park(0)) << "doubled in round " << i;
  }
  giver.join();
  RecordProperty("before_the_deadline", early);
}

// Sleeps awake, which hits the windows of the protocol more often.
struct spinning_bed {
  static bool sleep(std::atomic<std::uint32_t>& word, std::uint32_t expected,
                    std::int64_t deadline) {
    base::backoff spin;
    while (word.load(std::memory_order_relaxed) == expected) {
      if (deadline != time_never && nanotime() > deadline) return false;
      spin.wait();
    }
    return true;
  }
  static void wake(std::atomic<std::uint32_t>&) {}
};

// The owner is woken, looks, and sees nothing; what is written after its look comes with a permit of its own.
TEST(parker_test, whoever_does_not_see_what_was_written_before_an_unpark_finds_its_permit) {
  const int rounds = test::scaled(500'000);
  struct alignas(64) shared {
    basic_parker<base::hardware, spinning_bed> bed;
    alignas(64) std::atomic<int> written{0};
    alignas(64) std::atomic<int> begun{0};
    alignas(64) std::atomic<int> ended{0};
  } s;
  auto wait_for = [](std::atomic<int>& counter, int round) {
    base::backoff spin;
    while (counter.load(std::memory_order_acquire) < round) spin.wait();
  };
  std::thread giver([&] {
    for (int r = 1; r <= rounds; ++r) {
      wait_for(s.begun, r);
      s.bed.unpark();
      for (int spin = r % 61; spin > 0; --spin) asm volatile("");
      s.written.store(r, std::memory_order_relaxed);
      s.bed.unpark();
      s.ended.store(r, std::memory_order_release);
    }
  });
  int lost = 0;
  for (int r = 1; r <= rounds; ++r) {
    s.begun.store(r, std::memory_order_release);
    s.bed.park();
    bool seen = s.written.load(std::memory_order_relaxed) == r;
    wait_for(s.ended, r);
    bool permit = s.bed.park(0);
    lost += !seen && !permit;
  }
  giver.join();
  EXPECT_EQ(lost, 0);
}

}  // namespace
}  // namespace runnel::platform
