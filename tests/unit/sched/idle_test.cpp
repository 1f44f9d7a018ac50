// A program that waits costs nothing.

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>

#include "runnel/runnel.h"
#include "support/scale.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::run;

std::chrono::microseconds cpu_time() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  auto of = [](timeval t) {
    return std::chrono::seconds(t.tv_sec) + std::chrono::microseconds(t.tv_usec);
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

TEST(idle, a_thousand_parked_goroutines_use_no_processor) {
  run({.max_procs = 8}, [] {
    runnel::wait_group never, wg;
    never.add(1);
    std::atomic<int> begun{0};
    for (int i = 0; i < 1000; ++i) {
      wg.go([&] {
        ++begun;
        never.wait();
      });
    }
    EXPECT_TRUE(test::eventually([&] { return begun == 1000; }));
    runnel::sleep(50ms);  // until all is quiet
    auto before = cpu_time();
    runnel::sleep(300ms);
    auto used = cpu_time() - before;
    EXPECT_LT(used, std::chrono::milliseconds(test::patience(5)));
    never.done();
    wg.wait();
  });
}

TEST(idle, a_thousand_sleepers_use_no_processor) {
  run({.max_procs = 8}, [] {
    static std::atomic<int> begun{0};
    for (int i = 0; i < 1000; ++i) {
      runnel::go([] {
        ++begun;
        runnel::sleep(1h);
      });
    }
    EXPECT_TRUE(test::eventually([] { return begun == 1000; }));
    runnel::sleep(50ms);
    auto before = cpu_time();
    runnel::sleep(300ms);
    EXPECT_LT(cpu_time() - before, std::chrono::milliseconds(test::patience(5)));
  });
}

TEST(idle, a_runtime_whose_run_has_ended_uses_no_processor) {
  run({.max_procs = 8}, [] {
    for (int i = 0; i < 100; ++i) {
      runnel::go([] {
        for (;;) runnel::sleep(10us);
      });
    }
    runnel::sleep(5ms);
  });
  runnel::sleep(50ms);
  auto before = cpu_time();
  runnel::sleep(300ms);
  EXPECT_LT(cpu_time() - before, std::chrono::milliseconds(test::patience(5)));
}

TEST(idle, one_ticking_goroutine_uses_little) {
  run({.max_procs = 8}, [] {
    runnel::sleep(20ms);
    auto before = cpu_time();
    for (int i = 0; i < 30; ++i) runnel::sleep(10ms);
    EXPECT_LT(cpu_time() - before, std::chrono::milliseconds(test::patience(20)));
  });
}

}  // namespace
