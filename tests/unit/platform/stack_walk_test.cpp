// Stacks seen from outside: of a context that waits, of a thread that a signal has stopped.

#include "platform/stack_walk.h"

#include <gtest/gtest.h>
#include <setjmp.h>
#include <signal.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "platform/backtrace.h"
#include "unit/platform/strand.h"

namespace runnel::platform {
namespace {

using test::strands;

std::vector<void*> walk_all(const registers& at, walk_from from) {
  std::vector<void*> frames(64);
  frames.resize(static_cast<std::size_t>(walk_stack(at, from, frames.data(), 64)));
  return frames;
}

// Where a function's code lies, as far as the next one here is not much further.
bool within(void* address, const void* function) {
  auto at = reinterpret_cast<std::uintptr_t>(address);
  auto begin = reinterpret_cast<std::uintptr_t>(function);
  return at > begin && at < begin + 512;
}

strands* waiting = nullptr;

[[gnu::noinline]] void descend_and_wait(int levels) {
  if (levels == 0) {
    waiting->yield();
  } else {
    descend_and_wait(levels - 1);
  }
  asm volatile("");  // no tail call
}

TEST(stack_walk_test, the_stack_of_a_context_that_waits_is_read_without_running_it) {
  strands both([](strands& b) {
    waiting = &b;
    descend_and_wait(5);
  });
  both.resume();
  auto frames = walk_all(registers_of_context(both.other.sp), walk_from::call);
  auto ours = std::count_if(frames.begin(), frames.end(), [](void* frame) {
    return within(frame, reinterpret_cast<const void*>(&descend_and_wait));
  });
  EXPECT_GE(ours, 6);
  ASSERT_FALSE(frames.empty());
  EXPECT_TRUE(within(frames.back(), reinterpret_cast<const void*>(&runnel_context_entry)));
  both.resume();
  EXPECT_TRUE(both.ended);
}

TEST(stack_walk_test, a_walk_writes_nothing_to_the_stack_it_reads) {
  strands both([](strands& b) { b.yield(); });
  both.resume();
  // What lies below the stack pointer would be overwritten by calls made on that stack.
  auto* below = static_cast<unsigned char*>(both.other.sp) - 2048;
  std::vector<unsigned char> before(below, below + 2048);
  walk_all(registers_of_context(both.other.sp), walk_from::call);
  EXPECT_EQ(std::memcmp(before.data(), below, 2048), 0);
  both.resume();
}

[[gnu::noinline]] std::vector<void*> walk_from_here() {
  registers here = registers_here();
  return walk_all(here, walk_from::call);
}

TEST(stack_walk_test, ones_own_registers_lead_to_ones_own_stack) {
  auto frames = walk_from_here();
  ASSERT_GE(frames.size(), 3u);
  EXPECT_TRUE(within(frames[0], reinterpret_cast<const void*>(&walk_from_here)));
  void* usual[64];
  int count = capture_backtrace(usual, 64, 0);
  ASSERT_GE(count, 3);
  EXPECT_EQ(frames.back(), usual[count - 1]);
}

std::vector<void*> interrupted;
void* interrupted_at = nullptr;

[[gnu::noinline]] void trap() {
  raise(SIGUSR1);
  asm volatile("");
}

TEST(stack_walk_test, a_signal_handler_sees_the_interrupted_stack_from_its_instruction) {
  struct sigaction action{};
  struct sigaction before{};
  action.sa_sigaction = [](int, siginfo_t*, void* context) {
    registers at = registers_of_signal(context);
    interrupted_at = reinterpret_cast<void*>(at.pc);
    interrupted = walk_all(at, walk_from::instruction);
  };
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGUSR1, &action, &before);
  trap();
  sigaction(SIGUSR1, &before, nullptr);
  ASSERT_GE(interrupted.size(), 3u);
  EXPECT_EQ(interrupted[0], static_cast<char*>(interrupted_at) + 1);
  EXPECT_TRUE(std::any_of(interrupted.begin(), interrupted.end(), [](void* frame) {
    return within(frame, reinterpret_cast<const void*>(&trap));
  }));
}

sigjmp_buf back;

[[gnu::noinline]] void call(void (*function)()) {
  asm volatile("" : "+r"(function));
  function();
  asm volatile("");
}

TEST(stack_walk_test, after_a_jump_to_where_no_code_is_the_caller_follows) {
  struct sigaction action{};
  struct sigaction before{};
  action.sa_sigaction = [](int, siginfo_t*, void* context) {
    interrupted = walk_all(registers_of_signal(context), walk_from::instruction);
    siglongjmp(back, 1);
  };
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &action, &before);
  if (sigsetjmp(back, 1) == 0) call(nullptr);
  sigaction(SIGSEGV, &before, nullptr);
  ASSERT_GE(interrupted.size(), 3u);
  EXPECT_EQ(interrupted[0], reinterpret_cast<void*>(1));
  EXPECT_TRUE(within(interrupted[1], reinterpret_cast<const void*>(&call)));
}

TEST(stack_walk_test, no_more_than_asked_for_is_stored) {
  void* frames[2] = {nullptr, nullptr};
  EXPECT_EQ(walk_stack(registers_here(), walk_from::call, frames, 1), 1);
  EXPECT_EQ(frames[1], nullptr);
}

}  // namespace
}  // namespace runnel::platform
