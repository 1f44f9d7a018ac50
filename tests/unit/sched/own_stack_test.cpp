#include "sched/own_stack.h"

#include <gtest/gtest.h>

#include <vector>

#include "platform/backtrace.h"
#include "runnel/go.h"

namespace {

[[gnu::noinline]] void expect_the_unwinders_answer() {
  constexpr int most = 64;
  void* frames[most];
  int count = runnel::sched::capture_own_stack(frames, most);
  // The calls above this function, which the two find from different lines of it.
  ASSERT_GT(count, 1);
  std::vector<void*> ours(frames + 1, frames + count);
  count = runnel::platform::capture_backtrace(frames, most, 0);
  EXPECT_EQ(ours, std::vector<void*>(frames + 1, frames + count));
}

TEST(own_stack, of_a_goroutine_is_what_the_unwinder_finds) {
  runnel::run({.max_procs = 1}, [] {
    expect_the_unwinders_answer();
    runnel::yield();
    expect_the_unwinders_answer();
  });
}

TEST(own_stack, of_a_thread_is_what_the_unwinder_finds) { expect_the_unwinders_answer(); }

}  // namespace
