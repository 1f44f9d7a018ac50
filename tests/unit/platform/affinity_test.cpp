// The affinity mask, and how many Ps follow from it.

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <thread>

#include "platform/cpu.h"

namespace runnel::platform {
namespace {

// The first `count` CPUs of the mask; less if there are fewer.
cpu_set_t first_of_mask(int count) {
  cpu_set_t all, some;
  CPU_ZERO(&some);
  sched_getaffinity(0, sizeof all, &all);
  for (int cpu = 0; cpu < CPU_SETSIZE && count > 0; ++cpu) {
    if (!CPU_ISSET(cpu, &all)) continue;
    CPU_SET(cpu, &some);
    --count;
  }
  return some;
}

TEST(affinity_test, counts_the_cpus_of_the_mask) {
  cpu_set_t set;
  ASSERT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
  EXPECT_EQ(affinity_cpus(), CPU_COUNT(&set));
}

TEST(affinity_test, follows_a_change_of_the_mask) {
  std::thread([] {  // a thread has a mask of its own
    for (int count : {1, 2}) {
      cpu_set_t set = first_of_mask(count);
      ASSERT_EQ(sched_setaffinity(0, sizeof set, &set), 0);
      EXPECT_EQ(affinity_cpus(), CPU_COUNT(&set));
      cpu_set_t all;
      CPU_ZERO(&all);
      for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) CPU_SET(cpu, &all);
      sched_setaffinity(0, sizeof all, &all);
    }
  })
      .join();
}

TEST(affinity_test, usable_cpus_are_no_more_than_the_mask_allows) {
  EXPECT_GE(usable_cpus(), 1);
  EXPECT_LE(usable_cpus(), affinity_cpus());
  std::thread([] {
    cpu_set_t one = first_of_mask(1);
    ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    EXPECT_EQ(usable_cpus(), 1);
  }).join();
}

}  // namespace
}  // namespace runnel::platform
