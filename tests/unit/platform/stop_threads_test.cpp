#include "platform/stop_threads.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "platform/clock.h"
#include "platform/sanitizer.h"
#include "platform/thread.h"

namespace {

using namespace runnel::platform;

constexpr std::int64_t second = 1'000'000'000;

class stop_threads_test : public testing::Test {
 protected:
  void SetUp() override {
    if (has_tsan) GTEST_SKIP() << "ThreadSanitizer delivers signals when it likes";
  }
};

std::int64_t soon() { return nanotime() + 20 * second; }

TEST_F(stop_threads_test, a_stopped_thread_does_nothing) {
  std::atomic<std::uint64_t> count{0};
  std::atomic<bool> done{false};
  std::thread busy([&] {
    while (!done) ++count;
  });
  while (count == 0) std::this_thread::yield();
  {
    stop_threads world;
    ASSERT_TRUE(world.stop(soon()));
    std::uint64_t before = count;
    for (int i = 0; i < 1000; ++i) sched_yield();
    EXPECT_EQ(count, before);
  }
  std::uint64_t after = count;
  while (count == after) std::this_thread::yield();
  done = true;
  busy.join();
}

TEST_F(stop_threads_test, every_thread_is_stopped_and_shows_a_stack_pointer_of_its_own) {
  constexpr int threads = 20;
  std::atomic<int> running{0};
  std::atomic<bool> done{false};
  stack_bounds bounds[threads];
  std::atomic<int> tids[threads];
  std::vector<std::thread> all;
  for (int i = 0; i < threads; ++i) {
    all.emplace_back([&, i] {
      bounds[i] = current_thread_stack();
      tids[i] = thread_id();
      ++running;
      while (!done) i % 2 == 0 ? poll(nullptr, 0, 1) : sched_yield();
    });
  }
  while (running != threads) std::this_thread::yield();
  int found = 0;
  {
    stop_threads world;
    ASSERT_TRUE(world.stop(soon()));
    for (std::size_t w = 0; w < world.size(); ++w) {
      for (int i = 0; i < threads; ++i) {
        if (world[w].tid != tids[i]) continue;
        auto lowest = reinterpret_cast<std::uintptr_t>(bounds[i].lowest);
        found += world[w].sp > lowest && world[w].sp < lowest + bounds[i].size;
      }
    }
  }
  EXPECT_EQ(found, threads);
  done = true;
  for (auto& t : all) t.join();
}

// Only in a register: what a thread computes with and has stored nowhere.
void hold_in_register(std::uintptr_t hidden, std::atomic<bool>& ready, std::atomic<bool>& done) {
#if defined(__x86_64__)
  asm volatile(
      "movq %0, %%r12\n\t"
      "notq %%r12\n\t"
      "movb $1, (%1)\n\t"
      "1: movb (%2), %%al\n\t"
      "testb %%al, %%al\n\t"
      "jz 1b\n\t"
      :
      : "r"(hidden), "r"(&ready), "r"(&done)
      : "r12", "al", "memory");
#elif defined(__aarch64__)
  asm volatile(
      "mvn x20, %0\n\t"
      "mov w9, #1\n\t"
      "strb w9, [%1]\n\t"
      "1: ldrb w9, [%2]\n\t"
      "cbz w9, 1b\n\t"
      :
      : "r"(hidden), "r"(&ready), "r"(&done)
      : "x20", "x9", "memory");
#endif
}

TEST_F(stop_threads_test, finds_what_a_thread_has_in_a_register_only) {
  const std::uintptr_t secret = 0x0123'4567'89ab'cdefull;
  std::atomic<bool> ready{false}, done{false};
  std::thread holder([&, hidden = ~secret] { hold_in_register(hidden, ready, done); });
  while (!ready) std::this_thread::yield();
  bool found = false;
  {
    stop_threads world;
    ASSERT_TRUE(world.stop(soon()));
    for (std::size_t i = 0; i < world.size(); ++i) {
      for (std::uintptr_t at = world[i].registers_begin; at + 8 <= world[i].registers_end; at += 8)
        found |= *reinterpret_cast<const std::uintptr_t*>(at) == secret;
    }
  }
  done = true;
  holder.join();
  EXPECT_TRUE(found);
}

TEST_F(stop_threads_test, threads_that_come_and_go_do_not_escape) {
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> count{0};
  std::vector<std::thread> makers;
  for (int i = 0; i < 3; ++i) {
    makers.emplace_back([&] {
      while (!done) std::thread([&] { ++count; }).join();
    });
  }
  for (int round = 0; round < 100; ++round) {
    stop_threads world;
    ASSERT_TRUE(world.stop(soon()));
    std::uint64_t before = count;
    for (int i = 0; i < 20; ++i) sched_yield();
    ASSERT_EQ(count, before);
  }
  done = true;
  for (auto& t : makers) t.join();
}

TEST_F(stop_threads_test, a_thread_that_blocks_the_signal_makes_it_fail_and_nobody_stays_stopped) {
  std::atomic<bool> ready{false}, done{false};
  std::thread deaf([&] {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    ready = true;
    while (!done) std::this_thread::yield();
  });
  std::atomic<std::uint64_t> count{0};
  std::thread busy([&] {
    while (!done) ++count;
  });
  while (!ready) std::this_thread::yield();
  {
    stop_threads world;
    EXPECT_FALSE(world.stop(nanotime() + second / 20));
    EXPECT_NE(world.unanswered(), 0);
  }
  std::uint64_t before = count;
  while (count == before) std::this_thread::yield();
  done = true;
  deaf.join();
  busy.join();
}

std::atomic<int> urgent{0};

TEST_F(stop_threads_test, the_programs_own_handler_is_there_again_afterwards) {
  struct sigaction mine{}, old;
  mine.sa_handler = [](int) { ++urgent; };
  sigaction(SIGURG, &mine, &old);
  {
    stop_threads world;
    ASSERT_TRUE(world.stop(soon()));
  }
  raise(SIGURG);
  EXPECT_EQ(urgent, 1);
  sigaction(SIGURG, &old, nullptr);
}

TEST_F(stop_threads_test, a_read_that_waits_is_not_disturbed) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  std::atomic<int> tid{0};
  std::atomic<ssize_t> got{-2};
  std::thread reader([&] {
    tid = thread_id();
    char c;
    got = read(ends[0], &c, 1);
  });
  while (tid == 0 || !thread_sleeps(tid)) std::this_thread::yield();
  {
    stop_threads world;
    ASSERT_TRUE(world.stop(soon()));
  }
  EXPECT_EQ(got, -2);
  ASSERT_EQ(write(ends[1], "x", 1), 1);
  reader.join();
  EXPECT_EQ(got, 1);
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
