// When main returns, the other goroutines stop for good, and what they left behind harms nobody.

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "runnel/runnel.h"
#include "support/death.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::run;

// Objects that frozen goroutines point at: they live as long as the process.
template <class T>
T& immortal() {
  static auto* all = new std::vector<std::unique_ptr<T>>;
  return *all->emplace_back(std::make_unique<T>());
}

// Lets the runtime run something else for some time, so that whatever still ran would show.
void run_others(std::chrono::milliseconds time) {
  run({.max_procs = 4}, [&] {
    runnel::wait_group wg;
    for (int i = 0; i < 8; ++i) wg.go([&] { runnel::sleep(time); });
    wg.wait();
  });
}

TEST(main_return, stops_goroutines_that_yield_for_ever) {
  static std::atomic<long> counter{0};
  run({.max_procs = 4}, [] {
    for (int i = 0; i < 8; ++i) {
      runnel::go([] {
        for (;;) {
          ++counter;
          runnel::yield();
        }
      });
    }
    EXPECT_TRUE(test::eventually([] { return counter > 1000; }));
  });
  long seen = counter;
  run_others(20ms);
  EXPECT_LE(counter, seen + 8);  // each may have been between yield and counting
}

TEST(main_return, stops_goroutines_in_user_code_at_their_next_call_of_the_runtime) {
  static std::atomic<bool> computing{false}, may_go_on{false}, came_through{false}, at_call{false};
  run({.max_procs = 2}, [] {
    runnel::go([] {
      computing = true;
      test::compute_until([] { return may_go_on.load(); });
      at_call = true;
      runnel::yield();
      came_through = true;
    });
    EXPECT_TRUE(test::eventually([] { return computing.load(); }));
  });
  may_go_on = true;
  EXPECT_TRUE(test::eventually([] { return at_call.load(); }));
  run_others(20ms);
  EXPECT_FALSE(came_through);
}

TEST(main_return, does_not_wait_for_a_goroutine_that_computes_for_ever) {
  static std::atomic<bool> computing{false}, stop{false};
  auto begin = test::clock::now();
  run({.max_procs = 2}, [] {
    runnel::go([] {
      computing = true;
      test::compute_until([] { return stop.load(); });
      runnel::yield();
    });
    EXPECT_TRUE(test::eventually([] { return computing.load(); }));
  });
  EXPECT_LT(test::clock::now() - begin, 10s);
  stop = true;
}

TEST(main_return, sleepers_never_wake) {
  static std::atomic<int> woken{0};
  run([] {
    for (int i = 0; i < 10; ++i) {
      runnel::go([] {
        runnel::sleep(300ms);
        ++woken;
      });
    }
    runnel::yield();
  });
  run_others(350ms);
  EXPECT_EQ(woken, 0);
}

TEST(main_return, a_goroutine_that_waits_for_a_wait_group_never_wakes) {
  auto& wg = immortal<runnel::wait_group>();
  static std::atomic<int> waiting{0}, woken{0};
  wg.add(1);
  run([&] {
    for (int i = 0; i < 5; ++i) {
      runnel::go([&] {
        ++waiting;
        wg.wait();
        ++woken;
      });
    }
    EXPECT_TRUE(test::eventually([] { return waiting == 5; }));
    runnel::sleep(1ms);
  });
  wg.done();
  run_others(10ms);
  EXPECT_EQ(woken, 0);
  // And it is of use to others.
  wg.add(1);
  run([&] {
    runnel::go([&] { wg.done(); });
    wg.wait();
  });
}

TEST(main_return, goroutines_that_never_began_never_begin) {
  static std::atomic<int> begun{0};
  run({.max_procs = 1}, [] {
    for (int i = 0; i < 1000; ++i) runnel::go([] { ++begun; });
  });
  int before = begun;  // some, if main was descheduled for longer than a time slice
  ASSERT_LT(before, 1000);
  run_others(5ms);
  EXPECT_EQ(begun, before);
}

// Shows that two goroutines of a new run can use the mutex, one waiting for the other.
void expect_usable(runnel::mutex& mu) {
  bool usable = run({.max_procs = 1}, [&] {
    auto& second_has_had_it = immortal<std::atomic<bool>>();
    mu.lock();
    runnel::go([&mu, &second_has_had_it] {
      mu.lock();
      mu.unlock();
      second_has_had_it = true;
    });
    runnel::sleep(2ms);  // the other queues up
    mu.unlock();
    return test::eventually([&] { return second_has_had_it.load(); }, 2s);
  });
  EXPECT_TRUE(usable);
}

TEST(main_return, a_mutex_with_frozen_waiters_stays_usable) {
  auto& mu = immortal<runnel::mutex>();
  static std::atomic<int> waiting{0}, had_it{0};
  mu.lock();
  run([&] {
    for (int i = 0; i < 5; ++i) {
      runnel::go([&] {
        ++waiting;
        mu.lock();
        ++had_it;
      });
    }
    EXPECT_TRUE(test::eventually([] { return waiting == 5; }));
    runnel::sleep(2ms);
  });
  mu.unlock();
  expect_usable(mu);
  EXPECT_EQ(had_it, 0);
}

TEST(main_return, a_mutex_whose_next_owner_was_frozen_on_its_way_to_it_stays_usable) {
  for (;;) {
    auto& mu = immortal<runnel::mutex>();
    auto& has_it = immortal<std::atomic<bool>>();
    run({.max_procs = 1}, [&] {
      mu.lock();
      runnel::go([&] {
        mu.lock();
        has_it = true;
      });
      runnel::yield();  // it waits
      mu.unlock();      // it is woken, and will not run any more
    });
    // Unless main was descheduled in between for longer than a time slice.
    if (has_it) continue;
    expect_usable(mu);
    break;
  }
}

TEST(main_return, destroys_nothing_of_the_others) {
  static std::atomic<int> destroyed{0};
  struct guard {
    ~guard() { ++destroyed; }
  };
  run([] {
    for (int i = 0; i < 10; ++i) {
      runnel::go([] {
        guard g;
        runnel::sleep(1h);
      });
    }
    runnel::sleep(2ms);
  });
  run_others(2ms);
  EXPECT_EQ(destroyed, 0);
}

TEST(main_return, plain_threads_of_the_program_go_on) {
  runnel::mutex mu;
  std::atomic<bool> stop{false};
  std::atomic<long> rounds{0};
  std::thread plain([&] {
    while (!stop) {
      std::lock_guard hold(mu);
      ++rounds;
    }
  });
  for (int i = 0; i < 20; ++i) {
    run([&] {
      for (int k = 0; k < 4; ++k) runnel::go([] { runnel::sleep(1h); });
      std::lock_guard hold(mu);
    });
  }
  long seen = rounds;
  EXPECT_TRUE(test::eventually([&] { return rounds > seen; }));
  stop = true;
  plain.join();
}

using main_return_in_own_process = test::in_own_process;

// A static object that uses the runtime when the program ends.
struct uses_the_runtime_late {
  runnel::mutex mu;
  runnel::wait_group wg;
  bool armed = false;
  ~uses_the_runtime_late() {
    if (!armed) return;
    mu.lock();
    mu.unlock();
    runnel::go([] {});
    runnel::sleep(1ms);
    runnel::yield();
    wg.wait();
    if (runnel::run([] { return 5; }) != 5) _exit(1);
  }
} late;

TEST_F(main_return_in_own_process, static_destructors_may_use_the_runtime_afterwards) {
  EXPECT_EXIT(
      {
        late.armed = true;
        run({.max_procs = 4}, [] {
          for (int i = 0; i < 50; ++i) {
            runnel::go([] {
              for (;;) runnel::yield();
            });
            runnel::go([] { runnel::sleep(1h); });
            runnel::go([] { runnel::blocking([] { test::compute_for(50ms); }); });
          }
          runnel::sleep(2ms);
        });
        test::finish(true);
      },
      test::succeeds, "");
}

}  // namespace
