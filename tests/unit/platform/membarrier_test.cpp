// The asymmetric fence: with the kernel's help, and without.

#include "platform/membarrier.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <thread>

#include "base/backoff.h"
#include "base/sync_policy.h"

namespace runnel::platform {
namespace {

// Store, fence, load on two threads: how often did neither see the other's store?
template <class LightFence, class HeavyFence>
int missed(int rounds, LightFence light, HeavyFence heavy) {
  struct alignas(64) cell {
    std::atomic<int> value{0};
  };
  cell x, y, go, done;
  int seen_by_other = 0, count = 0;
  std::thread other([&] {
    for (int r = 1; r <= rounds; ++r) {
      base::backoff spin;
      while (go.value.load(std::memory_order_acquire) != r) spin.wait();
      x.value.store(r, std::memory_order_relaxed);
      light();
      seen_by_other = y.value.load(std::memory_order_relaxed);
      done.value.store(r, std::memory_order_release);
    }
  });
  for (int r = 1; r <= rounds; ++r) {
    go.value.store(r, std::memory_order_release);
    y.value.store(r, std::memory_order_relaxed);
    heavy();
    int seen = x.value.load(std::memory_order_relaxed);
    base::backoff spin;
    while (done.value.load(std::memory_order_acquire) != r) spin.wait();
    count += seen != r && seen_by_other != r;
  }
  other.join();
  return count;
}

class membarrier_test : public testing::Test {
 protected:
  void TearDown() override {
    unsetenv("RUNNEL_MEMBARRIER");
    register_membarrier();
  }
};

TEST_F(membarrier_test, a_light_and_a_heavy_fence_order_a_store_before_a_load) {
  register_membarrier();
  if (!asymmetric_fences()) GTEST_SKIP() << "this kernel has no expedited membarrier";
  EXPECT_EQ(missed(20'000, base::hardware::light_fence, base::hardware::heavy_fence), 0);
}

TEST_F(membarrier_test, full_fences_order_a_store_before_a_load) {
  EXPECT_EQ(missed(20'000, base::hardware::fence, base::hardware::fence), 0);
}

TEST_F(membarrier_test, can_be_forbidden) {
  setenv("RUNNEL_MEMBARRIER", "off", 1);
  register_membarrier();
  EXPECT_FALSE(asymmetric_fences());
}

TEST_F(membarrier_test, without_it_a_heavy_fence_is_a_full_fence) {
  setenv("RUNNEL_MEMBARRIER", "off", 1);
  register_membarrier();
  EXPECT_EQ(missed(20'000, base::hardware::fence, base::hardware::heavy_fence), 0);
}

TEST_F(membarrier_test, any_other_wish_leaves_it_on) {
  register_membarrier();
  bool possible = asymmetric_fences();
  setenv("RUNNEL_MEMBARRIER", "on", 1);
  register_membarrier();
  EXPECT_EQ(asymmetric_fences(), possible);
}

TEST_F(membarrier_test, keeps_errno) {
  errno = 1234;
  register_membarrier();
  EXPECT_EQ(errno, 1234);
  base::hardware::heavy_fence();
  EXPECT_EQ(errno, 1234);
}

}  // namespace
}  // namespace runnel::platform
