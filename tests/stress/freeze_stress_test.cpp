// Runs that end while goroutines are in every state there is, again and again in one process.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "base/random.h"
#include "runnel/runnel.h"
#include "sched/runtime.h"
#include "support/scale.h"
#include "support/seed.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::run;

// What frozen goroutines still point at.
struct shared {
  runnel::mutex mu;
  runnel::wait_group never;
  std::atomic<long> progress{0};
  std::atomic<bool> over{false};
};

void begin_goroutines(shared& s, runnel::base::random& choose, int n) {
  for (int i = 0; i < n; ++i) {
    std::uint64_t seed = choose.next();
    runnel::go([&s, seed] {
      runnel::base::random mine(seed);
      for (;;) {
        ++s.progress;
        switch (mine.below(9)) {
          case 0: runnel::sleep(std::chrono::microseconds(mine.below(100))); break;
          case 1: s.never.wait(); break;
          case 2: s.never.wait_for(std::chrono::microseconds(mine.below(100))); break;
          case 3:
            s.mu.lock();
            runnel::yield();
            s.mu.unlock();
            break;
          case 4:
            runnel::blocking([&] { test::compute_for(std::chrono::microseconds(mine.below(50))); });
            break;
          case 5: test::compute_for(std::chrono::microseconds(mine.below(200))); break;
          case 6: runnel::go([] { runnel::yield(); }); break;
          case 7:
            if (mine.below(8) == 0) runnel::lock_os_thread();
            break;
          default: runnel::yield();
        }
      }
    });
  }
}

void end_many_runs(int procs, int rounds) {
  std::uint64_t seed = test::seed();
  RUNNEL_TRACE_SEED(seed);
  runnel::base::random choose(seed);
  static auto* kept = new std::vector<std::unique_ptr<shared>>;
  for (int i = 0; i < rounds; ++i) {
    shared& s = *kept->emplace_back(std::make_unique<shared>());
    s.never.add(1);
    std::thread outside([&] {
      while (!s.over) {
        if (s.mu.try_lock()) s.mu.unlock();
        runnel::go([] {});
        s.never.wait_for(20us);
      }
    });
    int result = run({.max_procs = procs}, [&] {
      begin_goroutines(s, choose, 12);
      auto end = test::clock::now() + std::chrono::microseconds(choose.below(2000));
      while (test::clock::now() < end) runnel::yield();
      return i;
    });
    ASSERT_EQ(result, i);
    // Frozen goroutines do not count, whenever they come back.
    ASSERT_EQ(runnel::sched::rt().at_large, 0);
    s.over = true;
    outside.join();
  }
  // What is left of all that does not disturb a new run.
  int sum = run({.max_procs = procs}, [] {
    std::atomic<int> done{0};
    runnel::wait_group wg;
    for (int i = 0; i < 100; ++i) {
      wg.go([&] {
        runnel::sleep(100us);
        ++done;
      });
    }
    wg.wait();
    return done.load();
  });
  EXPECT_EQ(sum, 100);
  EXPECT_EQ(runnel::sched::rt().at_large, 0);
}

TEST(freeze_stress, runs_end_with_goroutines_in_every_state_on_one_p) {
  end_many_runs(1, test::scaled(200));
}

TEST(freeze_stress, runs_end_with_goroutines_in_every_state_on_eight_ps) {
  end_many_runs(8, test::scaled(400));
}

TEST(freeze_stress, goroutines_of_earlier_runs_make_no_progress_in_later_ones) {
  std::uint64_t seed = test::seed();
  RUNNEL_TRACE_SEED(seed);
  runnel::base::random choose(seed);
  static shared& s = *new shared;
  s.never.add(1);
  run({.max_procs = 4}, [&] {
    begin_goroutines(s, choose, 50);
    runnel::sleep(5ms);
  });
  run([] { runnel::sleep(20ms); });  // whoever was computing has come to a call
  long seen = s.progress;
  for (int i = 0; i < 20; ++i) {
    run({.max_procs = 4}, [] {
      runnel::wait_group wg;
      for (int k = 0; k < 8; ++k) wg.go([] { runnel::sleep(500us); });
      wg.wait();
    });
  }
  EXPECT_LE(s.progress, seen + 50);
}

TEST(freeze_stress, the_number_of_goroutines_starts_anew_with_every_run) {
  for (int i = 0; i < test::scaled(200); ++i) {
    std::size_t count = run({.max_procs = 4}, [] {
      for (int k = 0; k < 5; ++k) runnel::go([] { runnel::sleep(1h); });
      return runnel::num_goroutine();
    });
    ASSERT_EQ(count, 6U);
  }
}

}  // namespace
