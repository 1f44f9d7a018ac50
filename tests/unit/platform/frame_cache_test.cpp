// The fast walk of a stack, against the unwinder's.

#include "platform/frame_cache.h"

#include <alloca.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "platform/backtrace.h"

namespace {

using platform_frames = std::vector<void*>;
using runnel::platform::frame_cache;

constexpr int frames_max = 100;

const void* end_of_this_stack() {
  pthread_attr_t attributes;
  void* begin = nullptr;
  std::size_t size = 0;
  pthread_getattr_np(pthread_self(), &attributes);
  pthread_attr_getstack(&attributes, &begin, &size);
  pthread_attr_destroy(&attributes);
  return static_cast<char*>(begin) + size;
}

struct both {
  platform_frames walked, unwound;
  int answer = 0;
};

// Where each begins is another line of this function, so that is left out.
[[gnu::noinline]] void look(frame_cache& cache, both& out) {
  void* frames[frames_max];
  out.answer = cache.walk(end_of_this_stack(), frames, frames_max);
  out.walked.clear();
  if (out.answer > 0) out.walked.assign(frames + 1, frames + out.answer);
  int count = runnel::platform::capture_backtrace(frames, frames_max, 0);
  out.unwound.assign(frames + 1, frames + count);
}

[[gnu::noinline]] void keep_frame() { asm volatile(""); }

[[gnu::noinline]] void with_a_large_frame(const std::function<void()>& f) {
  std::array<volatile char, 20'000> room;
  room[5] = 1;
  f();
  room[6] = 1;
}

[[gnu::noinline]] void with_a_frame_of_any_size(std::size_t size, const std::function<void()>& f) {
  auto* room = static_cast<volatile char*>(alloca(size));
  room[size - 1] = 1;
  f();
  room[0] = 1;
}

[[gnu::noinline]] void with_an_aligned_frame(const std::function<void()>& f) {
  alignas(128) char room[128];
  asm volatile("" : : "r"(room) : "memory");
  f();
  asm volatile("" : : "r"(room) : "memory");
}

[[gnu::noinline]] void recursively(int depth, const std::function<void()>& f) {
  if (depth == 0) {
    f();
  } else {
    recursively(depth - 1, f);
  }
  keep_frame();
}

const std::function<void()>* called_by_the_c_library;
void through_the_c_library(const std::function<void()>& f) {
  called_by_the_c_library = &f;
  int numbers[] = {2, 1};
  std::qsort(numbers, 2, sizeof(int), [](const void* a, const void* b) {
    (*called_by_the_c_library)();
    return *static_cast<const int*>(a) - *static_cast<const int*>(b);
  });
}

class frame_walk : public testing::Test {
 protected:
  void SetUp() override {
#if !defined(__x86_64__)
    GTEST_SKIP() << "the unwinder does it all on this machine";
#endif
  }
  // Twice: once it learns, once it remembers.
  template <class Around>
  void expect_the_same(Around around) {
    for (int turn = 0; turn < 2; ++turn) {
      both seen;
      around([&] { look(*cache_, seen); });
      EXPECT_GT(seen.answer, 3);
      EXPECT_EQ(seen.walked, seen.unwound);
    }
  }
  std::unique_ptr<frame_cache> cache_ = std::make_unique<frame_cache>();
};

TEST_F(frame_walk, finds_the_calls_that_the_unwinder_finds) {
  expect_the_same([](const std::function<void()>& f) { f(); });
}

TEST_F(frame_walk, steps_over_frames_of_any_size) {
  expect_the_same([](const std::function<void()>& f) { with_a_large_frame(f); });
  for (std::size_t size : {1, 100, 5000}) {
    expect_the_same([&](const std::function<void()>& f) { with_a_frame_of_any_size(size, f); });
  }
}

TEST_F(frame_walk, steps_through_deep_recursion) {
  expect_the_same([](const std::function<void()>& f) { recursively(50, f); });
  both seen;
  recursively(2 * frames_max, [&] { look(*cache_, seen); });
  EXPECT_EQ(seen.answer, frames_max);
}

TEST_F(frame_walk, steps_through_the_c_library) {
  expect_the_same([](const std::function<void()>& f) { through_the_c_library(f); });
}

TEST_F(frame_walk, works_on_any_thread) {
  std::thread([&] {
    expect_the_same([](const std::function<void()>& f) { recursively(3, f); });
  }).join();
}

TEST_F(frame_walk, says_so_where_only_an_unwinder_can_step) {
  both seen;
  with_an_aligned_frame([&] { look(*cache_, seen); });
  if (seen.answer != -1) {
    EXPECT_EQ(seen.walked, seen.unwound);
  }
}

TEST_F(frame_walk, does_not_leave_the_stack) {
  void* frames[frames_max];
  recursively(20, [&] {
    char near[64];
    EXPECT_EQ(cache_->walk(near + sizeof near, frames, frames_max), -1);
  });
}

}  // namespace
