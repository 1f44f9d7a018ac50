// A goroutine continues on other threads. What it reads of its thread must be its present thread's, whatever
// the optimizer does: this file matters at -O3 and with link-time optimization.

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "runnel/runnel.h"
#include "support/wait.h"

// A third opinion on where errno is, out of the optimizer's reach.
[[gnu::noinline]] static int* errno_address_now() {
  asm volatile("" ::: "memory");
  int* address = &errno;
  asm volatile("" : "+r"(address)::"memory");
  return address;
}

namespace {

using namespace std::chrono_literals;
using runnel::run;

struct counts {
  int migrations = 0;
  int wrong_id = 0;
  int wrong_errno_address = 0;
  int wrong_errno_value = 0;
  int stale_cached_address = 0;  // the control: these must be there
};

// One function with everything in a loop, so that whatever can be carried over a switch would be.
[[gnu::noinline]] counts wander(int steps, void (*suspend)()) {
  counts seen;
  const std::uint64_t id = runnel::goroutine_id();
  int* cached = &errno;  // what a hoisted access to errno amounts to
  long last_tid = syscall(SYS_gettid);
  for (int i = 0; i < steps; ++i) {
    runnel::errno_ref() = 1000 + i;
    if (runnel::errno_ref() != 1000 + i) ++seen.wrong_errno_value;
    if (&runnel::errno_ref() != errno_address_now()) ++seen.wrong_errno_address;
    suspend();
    if (runnel::goroutine_id() != id) ++seen.wrong_id;
    int* here = &runnel::errno_ref();
    if (here != errno_address_now()) ++seen.wrong_errno_address;
    *here = -i;
    if (*errno_address_now() != -i) ++seen.wrong_errno_value;
    if (cached != errno_address_now()) ++seen.stale_cached_address;
    long tid = syscall(SYS_gettid);
    if (tid != last_tid) ++seen.migrations;
    last_tid = tid;
  }
  return seen;
}

// Runs wanderers on several Ps until they have migrated often enough.
counts wander_until(int migrations, void (*suspend)()) {
  return run({.max_procs = 4}, [&] {
    counts total;
    runnel::mutex mu;
    auto end = test::clock::now() + 20s;
    while (total.migrations < migrations && test::clock::now() < end) {
      runnel::wait_group wg;
      for (int i = 0; i < 16; ++i) {
        wg.go([&] {
          counts seen = wander(200, suspend);
          std::lock_guard hold(mu);
          total.migrations += seen.migrations;
          total.wrong_id += seen.wrong_id;
          total.wrong_errno_address += seen.wrong_errno_address;
          total.wrong_errno_value += seen.wrong_errno_value;
          total.stale_cached_address += seen.stale_cached_address;
        });
      }
      wg.wait();
    }
    return total;
  });
}

void expect_right(const counts& total, int migrations) {
  EXPECT_GE(total.migrations, migrations);
  EXPECT_EQ(total.wrong_id, 0);
  EXPECT_EQ(total.wrong_errno_address, 0);
  EXPECT_EQ(total.wrong_errno_value, 0);
  // Had an address been hoisted, the counts above would be like this one.
  EXPECT_GT(total.stale_cached_address, 0);
}

TEST(tls, goroutine_id_and_errno_are_right_after_a_sleep_on_whatever_thread) {
  expect_right(wander_until(500, [] { runnel::sleep(1us); }), 500);
}

TEST(tls, goroutine_id_and_errno_are_right_after_a_yield_on_whatever_thread) {
  expect_right(wander_until(100,
                            [] {
                              runnel::yield();
                              if (runnel::errno_ref() % 7 == 0) runnel::sleep(1us);
                            }),
               100);
}

TEST(tls, goroutine_id_and_errno_are_right_after_blocking_on_whatever_thread) {
  expect_right(wander_until(100,
                            [] {
                              runnel::blocking([] { test::compute_for(5us); });
                              runnel::sleep(1us);
                            }),
               100);
}

// What docs/when-it-goes-wrong.md advises where it must be the thread's own.
[[gnu::noinline]] long& of_this_thread() {
  static thread_local long mine = 0;
  asm volatile("" ::: "memory");
  return mine;
}

// Each thread's variable gets the thread's number. Returns how often another's was seen.
[[gnu::noinline]] int wrong_threads(int steps, int& migrations) {
  int wrong = 0;
  long last = 0;
  for (int i = 0; i < steps; ++i) {
    long tid = syscall(SYS_gettid);
    if (of_this_thread() == 0) of_this_thread() = tid;
    wrong += of_this_thread() != tid;
    migrations += last != 0 && last != tid;
    last = tid;
    runnel::sleep(1us);
  }
  return wrong;
}

TEST(tls, a_thread_local_is_this_threads_through_a_function_that_is_not_inlined) {
  run({.max_procs = 4}, [] {
    std::atomic<int> wrong{0}, migrations{0};
    EXPECT_TRUE(test::eventually([&] {
      runnel::wait_group wg;
      for (int i = 0; i < 16; ++i) {
        wg.go([&] {
          int mine = 0;
          wrong += wrong_threads(200, mine);
          migrations += mine;
        });
      }
      wg.wait();
      return migrations > 200;
    }));
    EXPECT_EQ(wrong, 0);
  });
}

// The same with yield visible to the inliner, in a loop whose every step reads the id twice.
[[gnu::noinline]] int wrong_ids(int steps) {
  int wrong = 0;
  const std::uint64_t id = runnel::goroutine_id();
  for (int i = 0; i < steps; ++i) {
    wrong += runnel::goroutine_id() != id;
    runnel::yield();
    wrong += runnel::goroutine_id() != id;
    if (i % 16 == 0) runnel::sleep(1us);
  }
  return wrong;
}

TEST(tls, goroutine_id_is_the_callers_in_a_loop_of_yields) {
  run({.max_procs = 4}, [] {
    std::atomic<int> wrong{0};
    runnel::wait_group wg;
    for (int i = 0; i < 32; ++i) wg.go([&] { wrong += wrong_ids(500); });
    wg.wait();
    EXPECT_EQ(wrong, 0);
  });
}

}  // namespace
