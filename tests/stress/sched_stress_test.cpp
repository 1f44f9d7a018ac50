// Goroutines that do everything at random, all at once. Nothing is lost: what was begun is ended, what was
// counted adds up, and the runtime's own numbers agree.

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <memory>
#include <mutex>

#include "base/random.h"
#include "runnel/runnel.h"
#include "support/scale.h"
#include "support/seed.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::run;

struct world {
  explicit world(std::uint64_t s) : seed(s) {}

  std::uint64_t seed;
  std::atomic<long> spawned{0}, ended{0};
  std::atomic<bool> stop{false};
  std::atomic<long> slept_too_short{0}, wrong_goroutine{0};
  runnel::wait_group all;
  static constexpr int locks = 4;
  runnel::mutex guard[locks];
  long guarded[locks] = {};
  std::atomic<long> increments[locks] = {};
  bool change_procs = false;
};

void live(world& w, std::uint64_t seed, int depth);

void spawn(world& w, std::uint64_t seed, int depth) {
  ++w.spawned;
  w.all.go([&w, seed, depth] {
    live(w, seed, depth);
    ++w.ended;
  });
}

void step(world& w, runnel::base::random& choose, int depth) {
  switch (choose.below(14)) {
    case 0:
    case 1:
    case 2: runnel::yield(); break;
    case 3:
      if (depth > 0 && w.spawned - w.ended < test::alive(3000)) spawn(w, choose.next(), depth - 1);
      break;
    case 4: {
      auto time = std::chrono::microseconds(choose.below(300));
      auto begin = test::clock::now();
      runnel::sleep(time);
      w.slept_too_short += test::clock::now() - begin < time;
      break;
    }
    case 5:
    case 6: {
      std::uint32_t k = choose.below(world::locks);
      std::lock_guard hold(w.guard[k]);
      ++w.guarded[k];
      ++w.increments[k];
      if (choose.below(8) == 0) runnel::yield();
      if (choose.below(16) == 0) runnel::sleep(20us);
      break;
    }
    case 7: {
      runnel::wait_group wg;
      std::atomic<int> sum{0};
      int n = 1 + static_cast<int>(choose.below(4));
      for (int i = 0; i < n; ++i) {
        wg.go([&] {
          runnel::yield();
          ++sum;
        });
      }
      wg.wait();
      if (sum != n) ++w.wrong_goroutine;
      break;
    }
    case 8: {
      auto time = std::chrono::microseconds(choose.below(60));
      runnel::blocking([&] { test::compute_for(time); });
      break;
    }
    case 9:
      if (choose.below(20) == 0) {
        timespec ts{0, 1'500'000};  // long enough to lose the P
        nanosleep(&ts, nullptr);
      }
      break;
    case 10:
      if (w.change_procs && choose.below(30) == 0) {
        runnel::max_procs(1 + static_cast<int>(choose.below(8)));
      }
      break;
    case 11:
      try {
        if (choose.below(2) == 0) runnel::yield();
        throw choose.next();
      } catch (std::uint64_t thrown) {
        std::uint64_t kept = thrown;
        runnel::yield();
        try {
          throw;
        } catch (std::uint64_t again) {
          if (again != kept) ++w.wrong_goroutine;
        }
      }
      break;
    case 12: {
      runnel::wait_group never;
      never.add(1);
      if (never.wait_for(std::chrono::microseconds(choose.below(200)))) ++w.wrong_goroutine;
      never.done();
      break;
    }
    case 13:
      if (choose.below(10) == 0) {
        runnel::lock_os_thread();
        int before = gettid();
        runnel::yield();
        runnel::sleep(10us);
        if (gettid() != before) ++w.wrong_goroutine;
        runnel::unlock_os_thread();
      }
      break;
  }
}

void live(world& w, std::uint64_t seed, int depth) {
  runnel::base::random choose(seed);
  std::uint64_t id = runnel::goroutine_id();
  int steps = 5 + static_cast<int>(choose.below(40));
  for (int i = 0; i < steps && !w.stop; ++i) {
    step(w, choose, depth);
    if (runnel::goroutine_id() != id) ++w.wrong_goroutine;
  }
}

void live_for(std::chrono::milliseconds time, int procs, bool change_procs) {
  std::uint64_t seed = test::seed();
  RUNNEL_TRACE_SEED(seed);
  std::printf("RUNNEL_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  auto w = std::make_unique<world>(seed);
  w->change_procs = change_procs;
  std::size_t left = run({.max_procs = procs}, [&] {
    runnel::base::random choose(seed);
    auto end = test::clock::now() + time;
    while (test::clock::now() < end) {
      for (int i = 0; i < 20 && w->spawned - w->ended < test::alive(2000); ++i) {
        spawn(*w, choose.next(), 3);
      }
      runnel::sleep(1ms);
    }
    w->stop = true;
    w->all.wait();
    // done() comes a little before a goroutine's end.
    test::eventually([] { return runnel::num_goroutine() == 1; }, 5s);
    return runnel::num_goroutine();
  });
  EXPECT_EQ(left, 1U);
  EXPECT_EQ(w->spawned, w->ended);
  EXPECT_GT(w->spawned, 100);
  EXPECT_EQ(w->slept_too_short, 0);
  EXPECT_EQ(w->wrong_goroutine, 0);
  for (int k = 0; k < world::locks; ++k) EXPECT_EQ(w->guarded[k], w->increments[k]);
}

TEST(sched_stress, nothing_is_lost_with_one_p) { live_for(3s, 1, false); }
TEST(sched_stress, nothing_is_lost_with_two_ps) { live_for(3s, 2, false); }
TEST(sched_stress, nothing_is_lost_with_more_ps_than_cores) { live_for(3s, 8, false); }
TEST(sched_stress, nothing_is_lost_while_max_procs_changes) { live_for(4s, 4, true); }

}  // namespace
