// The one thread-local of the runtime, and errno: each thread has its own.

#include "platform/tls.h"

#include <gtest/gtest.h>

#include <barrier>
#include <cerrno>
#include <thread>
#include <vector>

namespace runnel::platform {
namespace {

TEST(tls_test, a_new_thread_has_no_m) {
  int something = 0;
  set_tls_m(&something);
  void* seen = &something;
  std::thread([&] { seen = tls_m(); }).join();
  EXPECT_EQ(seen, nullptr);
  set_tls_m(nullptr);
}

TEST(tls_test, what_is_set_is_read) {
  int one = 0, two = 0;
  set_tls_m(&one);
  EXPECT_EQ(tls_m(), &one);
  set_tls_m(&two);
  EXPECT_EQ(tls_m(), &two);
  set_tls_m(nullptr);
  EXPECT_EQ(tls_m(), nullptr);
}

TEST(tls_test, each_thread_keeps_its_own) {
  constexpr int threads = 8;
  std::barrier all_set(threads);
  std::vector<std::thread> pool;
  for (int i = 0; i < threads; ++i) {
    pool.emplace_back([&all_set] {
      int mine = 0;
      for (int round = 0; round < 100; ++round) {
        set_tls_m(&mine);
        all_set.arrive_and_wait();
        EXPECT_EQ(tls_m(), &mine);
        all_set.arrive_and_wait();
      }
    });
  }
  for (auto& t : pool) t.join();
}

TEST(tls_test, it_does_not_disturb_other_thread_locals) {
  static thread_local long before = 1, after = 2;
  int something = 0;
  set_tls_m(&something);
  EXPECT_EQ(before, 1);
  EXPECT_EQ(after, 2);
  before = after = 3;
  EXPECT_EQ(tls_m(), &something);
  set_tls_m(nullptr);
}

TEST(tls_test, errno_ref_is_the_threads_errno) {
  errno = 42;
  EXPECT_EQ(&errno_ref(), &errno);
  EXPECT_EQ(errno_ref(), 42);
  int* others = nullptr;
  std::thread([&] {
    errno_ref() = 7;
    others = &errno_ref();
    EXPECT_EQ(errno, 7);
  }).join();
  EXPECT_NE(others, &errno_ref());
  EXPECT_EQ(errno_ref(), 42);
}

}  // namespace
}  // namespace runnel::platform
