// A std::mutex that a goroutine holds when it waits, yields or ends; and all that must not be taken for that.

#include "sched/held_mutex.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "base/check.h"
#include "runnel/runnel.h"
#include "support/death.h"
#include "support/wait.h"

// In no namespace: libdw does not find every local name.
std::mutex global_mutex;

namespace {

using namespace std::chrono_literals;
using runnel::run;

class held_mutex : public test::in_own_process {
 protected:
  void SetUp() override {
    if (!runnel::sched::mutexes_watched) GTEST_SKIP() << "in builds with assertions only";
  }
};

[[gnu::noinline]] void locks_here(std::mutex& mu) { mu.lock(); }
[[gnu::noinline]] void waits_here() { runnel::sleep(1ms); }
[[gnu::noinline]] void unlocks_here(std::mutex& mu) { mu.unlock(); }

// The goroutine that fails is not the main one, which takes part in nothing.
template <class F>
void in_a_goroutine(F f) {
  run({.max_procs = 2}, [&] {
    runnel::wait_group wg;
    wg.go(f);
    wg.wait();
  });
}

TEST_F(held_mutex, across_a_wait_is_fatal_and_both_stacks_are_told) {
  EXPECT_EXIT(in_a_goroutine([] {
                locks_here(global_mutex);
                waits_here();
              }),
              test::exits_with_2,
              "fatal error: std::mutex held while its goroutine waits \\[sleep\\]\n\n"
              "goroutine 2 \\[running\\]:\n(.|\n)*waits_here(.|\n)*"
              "std::mutex .*global_mutex.* was locked by goroutine 2:\n(.|\n)*locks_here");
}

TEST_F(held_mutex, whatever_it_waits_for) {
  auto dies_while = [](const char* report, auto wait) {
    EXPECT_EXIT(in_a_goroutine([&] {
                  std::lock_guard hold(global_mutex);
                  wait();
                }),
                test::exits_with_2, report);
  };
  dies_while("while its goroutine waits \\[chan receive\\]",
             [] { runnel::make_chan<int>().recv(); });
  dies_while("while its goroutine waits \\[chan receive \\(nil chan\\)\\]",
             [] { runnel::chan<int>().recv(); });
  dies_while("while its goroutine waits \\[select\\]",
             [] { runnel::select(runnel::recv(runnel::make_chan<int>()), runnel::timeout(1h)); });
  dies_while("while its goroutine waits \\[sync.WaitGroup.Wait\\]", [] {
    runnel::wait_group wg;
    wg.add(1);
    wg.wait();
  });
  dies_while("while its goroutine waits \\[sync.Mutex.Lock\\]", [] {
    runnel::mutex mu;
    mu.lock();
    mu.lock();
  });
}

TEST_F(held_mutex, however_it_was_locked) {
  EXPECT_EXIT(in_a_goroutine([] {
                if (global_mutex.try_lock()) waits_here();
              }),
              test::exits_with_2, "was locked by");
  EXPECT_EXIT(in_a_goroutine([] {
                std::timed_mutex mu;
                if (mu.try_lock_for(1h)) waits_here();
              }),
              test::exits_with_2, "was locked by");
  EXPECT_EXIT(in_a_goroutine([] {
                std::timed_mutex mu;
                if (mu.try_lock_until(std::chrono::system_clock::now() + 1h)) waits_here();
              }),
              test::exits_with_2, "was locked by");
  EXPECT_EXIT(in_a_goroutine([] {
                std::recursive_mutex mu;
                mu.lock();
                mu.lock();
                mu.unlock();
                waits_here();
              }),
              test::exits_with_2, "was locked by");
}

TEST_F(held_mutex, across_a_yield_is_fatal_even_with_nobody_to_yield_to) {
  EXPECT_EXIT(run({.max_procs = 1},
                  [] {
                    locks_here(global_mutex);
                    runnel::yield();
                  }),
              test::exits_with_2,
              "fatal error: std::mutex held while its goroutine yields\n(.|\n)*locks_here");
}

TEST_F(held_mutex, at_the_end_is_fatal) {
  EXPECT_EXIT(run([] { locks_here(global_mutex); }), test::exits_with_2,
              "fatal error: std::mutex held by a goroutine that has ended\n(.|\n)*locks_here");
  EXPECT_EXIT(run([] {
                runnel::go([] {
                  locks_here(global_mutex);
                  runnel::goexit();
                });
                runnel::sleep(1h);
              }),
              test::exits_with_2, "held by a goroutine that has ended");
}

TEST_F(held_mutex, unlocked_by_another_goroutine_is_fatal) {
  EXPECT_EXIT(run([] {
                locks_here(global_mutex);
                runnel::go([] { unlocks_here(global_mutex); });
                test::compute_until([] { return false; });
              }),
              test::exits_with_2,
              "fatal error: std::mutex unlocked by another goroutine\n\n"
              "goroutine 2 \\[running\\]:\n(.|\n)*unlocks_here(.|\n)*"
              "was locked by goroutine 1:\n(.|\n)*locks_here");
}

TEST_F(held_mutex, that_is_recursive_and_unlocked_on_another_thread_is_fatal) {
  EXPECT_EXIT(run({.max_procs = 1},
                  [] {
                    std::atomic<bool> begun{false}, done{false};
                    runnel::go([&] {
                      begun = true;
                      while (!done) runnel::yield();
                    });
                    std::recursive_mutex mu;
                    mu.lock();
                    // The other goroutine's thread has the only P when this one comes back.
                    runnel::blocking([&] { test::compute_until([&] { return begun.load(); }); });
                    mu.unlock();
                    done = true;
                  }),
              test::exits_with_2, "fatal error: recursive mutex unlocked on another thread");
}

// Not of the fixture, which is for builds that watch.
TEST(watching_mutexes, is_done_in_builds_with_assertions_and_leaves_no_trace_in_others) {
  if (runnel::platform::has_asan || runnel::platform::has_tsan) GTEST_SKIP() << "they have theirs";
  Dl_info function{}, mine{};
  ASSERT_NE(dladdr(dlsym(RTLD_DEFAULT, "pthread_mutex_lock"), &function), 0);
  ASSERT_NE(dladdr(reinterpret_cast<void*>(&locks_here), &mine), 0);
  EXPECT_EQ(function.dli_fbase == mine.dli_fbase, runnel::base::assertions);
  EXPECT_EQ(runnel::sched::mutexes_watched, runnel::base::assertions);
}

// --- what is right ---

TEST_F(held_mutex, unlocked_before_the_wait_is_right) {
  run({.max_procs = 2}, [] {
    std::array<std::mutex, 500> many;
    std::recursive_mutex recursive;
    runnel::wait_group wg;
    for (int i = 0; i < 8; ++i) {
      wg.go([&] {
        for (std::mutex& mu : many) mu.lock();
        for (std::mutex& mu : many) mu.unlock();
        runnel::yield();
        for (int round = 0; round < 2; ++round) recursive.lock();
        for (int round = 0; round < 2; ++round) recursive.unlock();
        waits_here();
        try {
          std::scoped_lock hold(many[0], many[1]);
          throw std::runtime_error("unlocks both");
        } catch (const std::runtime_error&) {
          waits_here();
        }
      });
    }
    wg.wait();
  });
}

TEST_F(held_mutex, a_condition_variable_blocks_the_thread_and_is_right) {
  run({.max_procs = 2}, [] {
    std::mutex mu;
    std::condition_variable changed;
    bool set = false;
    runnel::wait_group wg;
    wg.go([&] {
      std::unique_lock hold(mu);
      changed.wait(hold, [&] { return set; });
      EXPECT_FALSE(changed.wait_for(hold, 1ms, [] { return false; }));
      hold.unlock();
      waits_here();
    });
    wg.go([&] {
      waits_here();
      {
        std::lock_guard hold(mu);
        set = true;
      }
      changed.notify_one();
    });
    wg.wait();
  });
}

TEST_F(held_mutex, condition_variable_any_may_park_in_our_mutex) {
  run({.max_procs = 2}, [] {
    runnel::mutex mu;
    std::condition_variable_any changed;
    int turn = 0;
    runnel::wait_group wg;
    for (int me = 0; me < 2; ++me) {
      wg.go([&, me] {
        for (int round = 0; round < 200; ++round) {
          std::unique_lock hold(mu);
          changed.wait(hold, [&] { return turn % 2 == me; });
          ++turn;
          changed.notify_all();
        }
      });
    }
    wg.wait();
    EXPECT_EQ(turn, 400);
  });
}

TEST_F(held_mutex, together_with_ours_by_scoped_lock_is_right) {
  run({.max_procs = 2}, [] {
    std::mutex theirs;
    runnel::mutex ours;
    int count = 0;
    runnel::wait_group wg;
    for (int i = 0; i < 4; ++i) {
      wg.go([&, i] {
        for (int round = 0; round < 200; ++round) {
          if (i % 2 == 0) {
            std::scoped_lock both(theirs, ours);
            ++count;
          } else {
            std::scoped_lock both(ours, theirs);
            ++count;
          }
        }
      });
    }
    wg.wait();
    EXPECT_EQ(count, 800);
  });
}

TEST_F(held_mutex, of_a_goroutine_that_was_made_to_yield_is_right) {
  run({.max_procs = 1}, [] {
    std::mutex mu;
    std::atomic<bool> ran{false};
    auto ch = runnel::make_chan<int>();
    runnel::go([&] { ran = true; });
    std::lock_guard hold(mu);
    EXPECT_TRUE(test::compute_until([&] {
      (void)ch.try_recv();  // waits for nothing, but enters the runtime
      return ran.load();
    }));
  });
}

TEST_F(held_mutex, of_a_goroutine_with_its_own_thread_is_right) {
  run({.max_procs = 2}, [] {
    std::mutex mu;
    runnel::wait_group wg;
    wg.go([&] {
      runnel::lock_os_thread();
      mu.lock();
      waits_here();
      runnel::yield();
      mu.unlock();
      runnel::unlock_os_thread();
      waits_here();
    });
    wg.wait();
  });
}

TEST_F(held_mutex, of_a_plain_thread_is_right) {
  run({.max_procs = 2}, [] {
    std::mutex mu;
    auto ch = runnel::make_chan<int>();
    std::thread plain([&] {
      mu.lock();
      ch.send(1);
      runnel::sleep(1ms);
    });
    EXPECT_EQ(ch.recv(), 1);
    runnel::blocking([&] { plain.join(); });
    mu.unlock();  // undefined, but no goroutine's doing
    waits_here();
  });
}

TEST_F(held_mutex, that_a_plain_thread_has_unlocked_is_not_held_any_more) {
  run({.max_procs = 2}, [] {
    std::mutex mu;
    mu.lock();
    std::thread plain([&] { mu.unlock(); });
    runnel::blocking([&] { plain.join(); });
    waits_here();
    EXPECT_TRUE(mu.try_lock());
    mu.unlock();
  });
}

TEST_F(held_mutex, across_a_blocking_call_is_right) {
  run({.max_procs = 2}, [] {
    std::lock_guard hold(global_mutex);
    runnel::blocking([] {});
  });
}

}  // namespace
