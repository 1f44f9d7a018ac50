// Threads: how they start, what they are called, where their stacks lie and whether they sleep.

#include "platform/thread.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <string>
#include <thread>

#include "base/sync_policy.h"
#include "platform/futex.h"
#include "support/spin_until.h"

namespace runnel::platform {
namespace {

using test::spin_until;

struct report {
  std::atomic<bool> done{false};
  std::string name;
  int tid = 0;
  bool detached = false;
  stack_t for_handlers{};
};

void describe(void* argument) {
  auto& r = *static_cast<report*>(argument);
  char name[64] = {};
  pthread_getname_np(pthread_self(), name, sizeof name);
  r.name = name;
  r.tid = thread_id();
  sigaltstack(nullptr, &r.for_handlers);
  pthread_attr_t attributes;
  int state = 0;
  pthread_getattr_np(pthread_self(), &attributes);
  pthread_attr_getdetachstate(&attributes, &state);
  pthread_attr_destroy(&attributes);
  r.detached = state == PTHREAD_CREATE_DETACHED;
  r.done.store(true, std::memory_order_release);
}

void describe_thread_called(const char* name, report& r) {
  ASSERT_EQ(start_thread(&describe, &r, name), 0);
  ASSERT_TRUE(spin_until([&] { return r.done.load(std::memory_order_acquire); }));
}

TEST(thread_test, a_started_thread_runs_the_body_with_its_argument_under_its_name) {
  report r;
  describe_thread_called("runnel-test", r);
  EXPECT_EQ(r.name, "runnel-test");
  EXPECT_NE(r.tid, thread_id());
  EXPECT_TRUE(r.detached);
}

TEST(thread_test, a_started_thread_has_a_stack_for_signal_handlers) {
  report r;
  describe_thread_called("runnel-test", r);
  EXPECT_EQ(r.for_handlers.ss_flags & SS_DISABLE, 0);
}

TEST(thread_test, a_name_that_is_too_long_is_cut) {
  report r;
  describe_thread_called("a-name-with-more-than-15-characters", r);
  EXPECT_EQ(r.name, "a-name-with-mor");
}

TEST(thread_test, a_threads_id_is_the_kernels) { EXPECT_EQ(thread_id(), syscall(SYS_gettid)); }

TEST(thread_test, a_threads_stack_contains_its_locals) {
  auto inside = [] {
    auto* at = static_cast<char*>(__builtin_frame_address(0));
    stack_bounds bounds = current_thread_stack();
    auto* lowest = static_cast<char*>(bounds.lowest);
    EXPECT_GT(at, lowest);
    EXPECT_LT(at, lowest + bounds.size);
    return bounds.lowest;
  };
  void* ours = inside();
  std::thread([&] { EXPECT_NE(inside(), ours); }).join();
}

// A thread that tells its id and then runs `body`.
struct told_thread {
  template <class Body>
  explicit told_thread(Body body)
      : thread([this, body] {
          tid = thread_id();
          body();
        }) {
    EXPECT_TRUE(spin_until([&] { return tid != 0; }));
  }
  ~told_thread() { thread.join(); }
  std::atomic<int> tid{0};
  std::thread thread;
};

TEST(thread_test, a_thread_that_waits_on_a_futex_sleeps) {
  std::atomic<std::uint32_t> word{0};
  told_thread sleeper([&] {
    while (word == 0) futex_wait(word, 0);
  });
  EXPECT_TRUE(spin_until([&] { return thread_sleeps(sleeper.tid); }));
  word = 1;
  futex_wake(word);
}

TEST(thread_test, a_thread_that_waits_in_read_sleeps) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  {
    told_thread reader([&] {
      char byte;
      EXPECT_EQ(read(ends[0], &byte, 1), 0);
    });
    EXPECT_TRUE(spin_until([&] { return thread_sleeps(reader.tid); }));
    close(ends[1]);
  }
  close(ends[0]);
}

TEST(thread_test, a_thread_that_computes_does_not_sleep) {
  std::atomic<bool> stop{false}, begun{false};
  told_thread spinner([&] {
    begun = true;
    while (!stop.load(std::memory_order_relaxed)) base::hardware::pause();
  });
  EXPECT_TRUE(spin_until([&] { return begun.load(); }));
  int asleep = 0;
  for (int i = 0; i < 200; ++i) asleep += thread_sleeps(spinner.tid);
  stop = true;
  // A page fault of its may be under way once.
  EXPECT_LE(asleep, 2);
}

TEST(thread_test, the_calling_thread_does_not_sleep) { EXPECT_FALSE(thread_sleeps(thread_id())); }

TEST(thread_test, a_name_with_parentheses_and_states_confuses_nobody) {
  for (const char* name : {") S (", ") R 1 (S)", "((((((", "))))))", ") D"}) {
    std::atomic<std::uint32_t> word{0};
    std::atomic<bool> stop{false}, begun{false};
    {
      told_thread spinner([&] {
        pthread_setname_np(pthread_self(), name);
        begun = true;
        while (!stop.load(std::memory_order_relaxed)) base::hardware::pause();
      });
      EXPECT_TRUE(spin_until([&] { return begun.load(); }));
      int asleep = 0;
      for (int i = 0; i < 20; ++i) asleep += thread_sleeps(spinner.tid);
      EXPECT_LE(asleep, 1) << name;
      stop = true;
    }
    told_thread sleeper([&] {
      pthread_setname_np(pthread_self(), name);
      while (word == 0) futex_wait(word, 0);
    });
    EXPECT_TRUE(spin_until([&] { return thread_sleeps(sleeper.tid); })) << name;
    word = 1;
    futex_wake(word);
  }
}

TEST(thread_test, a_thread_that_does_not_exist_does_not_sleep) {
  EXPECT_FALSE(thread_sleeps(INT_MAX));
  EXPECT_FALSE(thread_sleeps(-1));
  EXPECT_FALSE(thread_sleeps(0));
}

TEST(thread_test, asking_keeps_errno) {
  errno = 1234;
  thread_sleeps(INT_MAX);
  EXPECT_EQ(errno, 1234);
  thread_sleeps(thread_id());
  EXPECT_EQ(errno, 1234);
}

TEST(thread, the_end_of_the_first_frame_lies_between_all_frames_and_the_thread_locals) {
  static thread_local int variable = 0;
  struct seen {
    std::uintptr_t lowest, frame, end, variable, highest;
  } s{};
  std::atomic<bool> done{false};
  struct both {
    seen& s;
    std::atomic<bool>& done;
  } b{s, done};
  ASSERT_EQ(start_thread(
                [](void* raw) {
                  auto& [to, told] = *static_cast<both*>(raw);
                  stack_bounds stack = current_thread_stack();
                  to.lowest = reinterpret_cast<std::uintptr_t>(stack.lowest);
                  to.frame = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
                  to.end = reinterpret_cast<std::uintptr_t>(end_of_first_frame());
                  to.variable = reinterpret_cast<std::uintptr_t>(&variable);
                  to.highest = to.lowest + stack.size;
                  told = true;
                },
                &b, "frames"),
            0);
  while (!done) sched_yield();
  EXPECT_LT(s.lowest, s.frame);
  EXPECT_LT(s.frame, s.end);
  EXPECT_LT(s.end, s.variable);
  EXPECT_LT(s.variable, s.highest);
  // More than what is called by the thread's first function; less than a page.
  EXPECT_GT(s.end - s.frame, 64u);
  EXPECT_LT(s.end - s.frame, 4096u);
}

}  // namespace
}  // namespace runnel::platform
