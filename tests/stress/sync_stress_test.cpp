// Everything at once: locks, conditions, onces and semaphores under changing numbers of Ps, from goroutines and
// plain threads, with runs that end in the middle of it.

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <vector>

#include "runnel/runnel.h"
#include "runnel/sync.h"
#include "support/scale.h"
#include "support/seed.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::run;

TEST(sync_stress, shared_mutex_holds_under_any_mixture_of_readers_and_writers) {
  const std::uint64_t seed = test::seed();
  RUNNEL_TRACE_SEED(seed);
  for (int procs : {1, 2, 8}) {
    run({.max_procs = procs}, [&] {
      runnel::shared_mutex mu;
      long values[4] = {};
      std::atomic<long> torn{0}, writes{0};
      auto work = [&](int who, int count) {
        runnel::base::random rng(seed + static_cast<std::uint64_t>(who));
        // Each phase has its own share of writes: the bias comes and goes.
        for (int i = 0; i < count; ++i) {
          std::uint64_t one_in = std::uint64_t{1} << (1 + i * 12 / count);
          std::uint64_t r = rng.next();
          bool yields = (r >> 32) % 97 == 0;
          if (r % one_in == 0) {
            if (r >> 40 & 1) {
              if (!mu.try_lock()) continue;
            } else {
              mu.lock();
            }
            for (long& v : values) ++v;
            ++writes;
            if (yields) runnel::yield();
            mu.unlock();
          } else {
            if (r >> 40 & 1) {
              if (!mu.try_lock_shared()) continue;
            } else {
              mu.lock_shared();
            }
            long first = values[0];
            if (yields) runnel::yield();
            for (long v : values) torn += v != first;
            mu.unlock_shared();
          }
        }
      };
      runnel::wait_group wg;
      for (int g = 0; g < 10; ++g) wg.go([&, g] { work(g, test::scaled(60'000)); });
      std::thread plain(work, 100, test::scaled(10'000));
      for (int i = 0; i < test::scaled(30); ++i) {
        if (i % 5 == 0) runnel::max_procs(1 + (procs + i) % 8);
        runnel::sleep(100us);
      }
      wg.wait();
      runnel::blocking([&] { plain.join(); });
      EXPECT_EQ(torn, 0);
      EXPECT_EQ(values[3], writes);
      EXPECT_TRUE(mu.try_lock());
      mu.unlock();
    });
  }
}

TEST(sync_stress, shared_mutex_survives_runs_that_end_while_others_wait_for_it) {
  for (int round = 0; round < test::scaled(100); ++round) {
    // Destroyed with frozen goroutines in its lists.
    auto mu = std::make_unique<runnel::shared_mutex>();
    std::atomic<bool> stop{false};
    // Never holds it when the run ends, and must not be left waiting by those who do not come back.
    std::thread plain([&] {
      while (!stop) {
        mu->lock_shared();
        mu->unlock_shared();
        if (mu->try_lock()) mu->unlock();
      }
    });
    mu->lock_shared();
    run({.max_procs = 1 + round % 3}, [&] {
      for (int g = 0; g < 3; ++g) {
        runnel::go([&] {
          mu->lock();
          ADD_FAILURE();
        });
        runnel::go([&] { mu->lock_shared(); });
      }
      runnel::yield();
    });
    // Goroutines may have become readers for ever: only that can keep a writer out.
    bool free = mu->try_lock_shared();
    EXPECT_TRUE(free);
    mu->unlock_shared();
    stop = true;
    if (free) mu->unlock_shared();
    plain.join();
  }
}

TEST(sync_stress, cond_passes_every_token_on) {
  for (int procs : {1, 2, 8}) {
    run({.max_procs = procs}, [] {
      runnel::mutex mu;
      runnel::cond c(mu);
      int tokens = 0;
      long taken = 0;
      const int each = test::scaled(5'000);
      auto produce = [&] {
        for (int i = 0; i < each; ++i) {
          {
            std::lock_guard hold(mu);
            ++tokens;
          }
          c.notify_one();
        }
      };
      auto consume = [&] {
        for (int i = 0; i < each; ++i) {
          std::lock_guard hold(mu);
          c.wait([&] { return tokens > 0; });
          --tokens;
          ++taken;
        }
      };
      runnel::wait_group wg;
      for (int k = 0; k < 5; ++k) {
        wg.go(produce);
        wg.go(consume);
      }
      std::thread a(produce), b(consume);
      wg.wait();
      runnel::blocking([&] {
        a.join();
        b.join();
      });
      EXPECT_EQ(tokens, 0);
      EXPECT_EQ(taken, 6L * each);
    });
  }
}

TEST(sync_stress, once_runs_once_and_nobody_overtakes_it) {
  for (int procs : {1, 2, 8}) {
    run({.max_procs = procs}, [] {
      for (int round = 0; round < test::scaled(2000); ++round) {
        auto value = std::make_shared<int>(0);
        auto f = runnel::once_value([value, round] {
          if (round % 3 == 0) runnel::yield();
          return ++*value;
        });
        std::atomic<int> wrong{0};
        runnel::wait_group wg;
        for (int g = 0; g < 6; ++g) {
          wg.go([&, f] { wrong += f() != 1; });
        }
        wg.wait();
        ASSERT_EQ(wrong, 0);
      }
    });
  }
}

TEST(sync_stress, semaphore_neither_loses_nor_invents_units) {
  const std::uint64_t seed = test::seed();
  RUNNEL_TRACE_SEED(seed);
  for (int procs : {1, 2, 8}) {
    run({.max_procs = procs}, [&] {
      constexpr std::size_t units = 7;
      runnel::semaphore s(units);
      std::atomic<std::size_t> inside{0};
      std::atomic<int> too_many{0};
      auto work = [&](int who, int count) {
        runnel::base::random rng(seed + static_cast<std::uint64_t>(who));
        for (int i = 0; i < count; ++i) {
          std::uint64_t r = rng.next();
          std::size_t n = r % 31 == 0 ? units : 1 + r % 3;
          switch (r >> 32 & 3) {
            case 0:
              if (!s.try_acquire(n)) continue;
              break;
            case 1:
              if (!s.acquire_for(1us * static_cast<int>(r >> 40 & 31), n)) continue;
              break;
            default: s.acquire(n);
          }
          too_many += inside.fetch_add(n) + n > units;
          if ((r >> 50 & 7) == 0) runnel::yield();
          inside.fetch_sub(n);
          s.release(n);
        }
      };
      runnel::wait_group wg;
      for (int g = 0; g < 10; ++g) wg.go([&, g] { work(g, test::scaled(5'000)); });
      std::thread plain(work, 100, test::scaled(3'000));
      wg.wait();
      runnel::blocking([&] { plain.join(); });
      EXPECT_EQ(too_many, 0);
      EXPECT_TRUE(s.try_acquire(units));
    });
  }
}

}  // namespace
