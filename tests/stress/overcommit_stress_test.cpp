// More threads than processors, all of them eager: the kernel stops them at the worst moments.

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "runnel/runnel.h"
#include "sched/runtime.h"
#include "support/scale.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::run;

// Threads that keep all processors busy.
class load {
 public:
  explicit load(int threads) {
    for (int i = 0; i < threads; ++i) {
      threads_.emplace_back([this] { test::compute_until([this] { return stop_.load(); }, 600s); });
    }
  }
  ~load() {
    stop_ = true;
    for (auto& t : threads_) t.join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

// All that had lost their Ps have counted back.
bool nobody_is_at_large() {
  return test::eventually([] { return runnel::sched::rt().at_large == 0; });
}

TEST(overcommit_stress, work_is_done_with_sixteen_ps_on_a_loaded_machine) {
  load others(4);
  run({.max_procs = 16}, [] {
    runnel::mutex mu;
    long counter = 0;
    std::atomic<long> expected{0};
    runnel::wait_group wg;
    for (int i = 0; i < 64; ++i) {
      wg.go([&, i] {
        for (int k = 0; k < test::scaled(500); ++k) {
          {
            std::lock_guard hold(mu);
            ++counter;
          }
          ++expected;
          if (k % 16 == i % 16) runnel::yield();
          if (k % 64 == i) runnel::sleep(10us);
        }
      });
    }
    wg.wait();
    EXPECT_TRUE(nobody_is_at_large());
    EXPECT_EQ(counter, expected);
  });
}

TEST(overcommit_stress, plain_threads_and_goroutines_share_locks_on_a_loaded_machine) {
  load others(2);
  run({.max_procs = 8}, [] {
    runnel::mutex mu;
    long counter = 0;
    const int each = test::scaled(2000);
    runnel::wait_group wg;
    std::vector<std::thread> threads;
    auto work = [&] {
      for (int k = 0; k < each; ++k) {
        std::lock_guard hold(mu);
        ++counter;
      }
      wg.done();
    };
    wg.add(16);
    for (int i = 0; i < 8; ++i) {
      runnel::go(work);
      threads.emplace_back(work);
    }
    wg.wait();
    EXPECT_TRUE(nobody_is_at_large());
    EXPECT_EQ(counter, 16L * each);
    for (auto& t : threads) t.join();
  });
}

TEST(overcommit_stress, the_world_stops_and_starts_on_a_loaded_machine) {
  load others(4);
  run({.max_procs = 8}, [] {
    std::atomic<bool> stop{false};
    runnel::wait_group wg;
    for (int i = 0; i < 16; ++i) {
      wg.go([&] {
        while (!stop) runnel::yield();
      });
    }
    for (int k = 0; k < test::scaled(100); ++k) runnel::max_procs(1 + k % 8);
    stop = true;
    wg.wait();
    EXPECT_TRUE(nobody_is_at_large());
  });
}

}  // namespace
