// The stacks of threads that have ended are found, and no others.

#include "platform/ended_stacks.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <thread>

#include "platform/sanitizer.h"
#include "platform/thread.h"

namespace {

using namespace runnel::platform;

// A thread that tells where its stack, its thread-locals and its description are, and stays until it is let go.
class sample_thread {
 public:
  sample_thread() {
    thread_ = std::thread([this] {
      int here = 0;
      frame_ = reinterpret_cast<std::uintptr_t>(&here);
      descriptor_ = thread_descriptor();
      tid_ = thread_id();
      told_.store(true);
      told_.notify_one();
      go_.wait(false);
    });
    told_.wait(false);
  }
  ~sample_thread() { end(); }
  void end() {
    if (!thread_.joinable()) return;
    go_.store(true);
    go_.notify_one();
    thread_.join();
  }
  std::uintptr_t frame() const { return frame_; }
  std::uintptr_t descriptor() const { return descriptor_; }
  int tid() const { return tid_; }

 private:
  std::thread thread_;
  std::atomic<bool> told_{false}, go_{false};
  std::uintptr_t frame_ = 0, descriptor_ = 0;
  int tid_ = 0;
};

class ended_stacks_test : public testing::Test {
 protected:
  void SetUp() override {
    if (has_asan || has_tsan) GTEST_SKIP() << "sanitizers put more onto stacks";
  }
  // Whether the address is on a stack that is told of.
  bool told(std::uintptr_t address) {
    mapping_list now;
    EXPECT_TRUE(now.read());
    ended_stacks ended;
    EXPECT_TRUE(ended.learn(now.all(), living_.descriptor(), living_.tid()));
    bool found = false;
    ended.for_each(now.all(), [&](std::uintptr_t begin, std::uintptr_t end) {
      EXPECT_LT(begin, end);
      found = found || (begin <= address && address < end);
    });
    return found;
  }
  sample_thread living_;
};

TEST_F(ended_stacks_test, a_stack_is_told_of_once_its_thread_has_ended) {
  sample_thread other;
  EXPECT_FALSE(told(other.frame()));
  other.end();
  EXPECT_TRUE(told(other.frame()));
  EXPECT_FALSE(told(living_.frame()));
}

// It has what the thread has returned, until somebody asks.
TEST_F(ended_stacks_test, a_description_is_told_of_once_its_thread_was_joined) {
  std::atomic<std::uintptr_t> frame{0};
  pthread_t thread;
  auto body = [](void* where) -> void* {
    int here = 0;
    static_cast<std::atomic<std::uintptr_t>*>(where)->store(
        reinterpret_cast<std::uintptr_t>(&here));
    return where;
  };
  ASSERT_EQ(pthread_create(&thread, nullptr, body, &frame), 0);
  auto descriptor = static_cast<std::uintptr_t>(thread);
  while (frame.load() == 0 || !told(frame.load())) std::this_thread::yield();
  EXPECT_FALSE(told(descriptor));
  pthread_join(thread, nullptr);
  EXPECT_TRUE(told(frame.load()));
  EXPECT_TRUE(told(descriptor));
}

TEST_F(ended_stacks_test, a_stack_that_is_used_again_is_not_told_of) {
  std::uintptr_t before;
  {
    sample_thread other;
    other.end();
    before = other.frame();
  }
  sample_thread next;
  EXPECT_FALSE(told(next.frame()));
  // glibc takes the one that it got last.
  EXPECT_EQ(next.frame(), before);
}

TEST_F(ended_stacks_test, a_stack_of_the_programs_own_is_not_told_of) {
  constexpr std::size_t size = 1 << 20;
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  ASSERT_EQ(pthread_attr_setstack(&attributes, memory, size), 0);
  pthread_t thread;
  ASSERT_EQ(pthread_create(&thread, &attributes, [](void* p) { return p; }, nullptr), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  EXPECT_FALSE(told(reinterpret_cast<std::uintptr_t>(memory) + size - 16384));
  munmap(memory, size);
}

TEST_F(ended_stacks_test, nothing_is_learned_from_a_thread_with_another_number) {
  mapping_list now;
  ASSERT_TRUE(now.read());
  ended_stacks ended;
  EXPECT_FALSE(ended.learn(now.all(), living_.descriptor(), living_.tid() + 1));
  EXPECT_FALSE(ended.learn(now.all(), reinterpret_cast<std::uintptr_t>(&now), living_.tid()));
  bool any = false;
  ended.for_each(now.all(), [&](std::uintptr_t, std::uintptr_t) { any = true; });
  EXPECT_FALSE(any);
}

}  // namespace
