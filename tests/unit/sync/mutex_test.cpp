#include "runnel/sync.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "runnel/runnel.h"
#include "support/death.h"
#include "support/scale.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::mutex;
using runnel::run;

TEST(mutex, excludes_goroutines_on_several_ps) {
  run({.max_procs = 8}, [] {
    mutex mu;
    long counter = 0;
    const int each = test::scaled(20'000);
    runnel::wait_group wg;
    for (int i = 0; i < 16; ++i) {
      wg.go([&] {
        for (int k = 0; k < each; ++k) {
          std::lock_guard hold(mu);
          ++counter;
        }
      });
    }
    wg.wait();
    EXPECT_EQ(counter, 16L * each);
  });
}

TEST(mutex, excludes_goroutines_that_park_while_they_hold_it) {
  run({.max_procs = 4}, [] {
    mutex mu;
    std::atomic<int> inside{0}, together{0};
    runnel::wait_group wg;
    for (int i = 0; i < 20; ++i) {
      wg.go([&, i] {
        for (int k = 0; k < 20; ++k) {
          std::lock_guard hold(mu);
          together += inside.fetch_add(1) != 0;
          if (i % 2 == 0) {
            runnel::yield();
          } else {
            runnel::sleep(10us);
          }
          --inside;
        }
      });
    }
    wg.wait();
    EXPECT_EQ(together, 0);
  });
}

TEST(mutex, try_lock_takes_a_free_one_and_no_other) {
  mutex mu;
  EXPECT_TRUE(mu.try_lock());
  EXPECT_FALSE(mu.try_lock());
  mu.unlock();
  EXPECT_TRUE(mu.try_lock());
  mu.unlock();
}

TEST(mutex, try_lock_fails_while_another_goroutine_waits_and_succeeds_after) {
  run({.max_procs = 1}, [] {
    mutex mu;
    runnel::wait_group wg;
    mu.lock();
    wg.go([&] { std::lock_guard hold(mu); });
    runnel::yield();
    EXPECT_FALSE(mu.try_lock());
    mu.unlock();
    wg.wait();
    EXPECT_TRUE(mu.try_lock());
    mu.unlock();
  });
}

TEST(mutex, may_be_unlocked_by_another_goroutine) {
  run([] {
    mutex mu;
    mu.lock();
    runnel::go([&] { mu.unlock(); });
    mu.lock();
    mu.unlock();
  });
}

TEST(mutex, works_with_the_standard_guards) {
  run({.max_procs = 4}, [] {
    mutex a, b;
    int value = 0;
    runnel::wait_group wg;
    for (int i = 0; i < 8; ++i) {
      wg.go([&, i] {
        for (int k = 0; k < 200; ++k) {
          // In either order: scoped_lock avoids the deadlock.
          if (i % 2 == 0) {
            std::scoped_lock both(a, b);
            ++value;
          } else {
            std::scoped_lock both(b, a);
            ++value;
          }
        }
      });
    }
    wg.wait();
    EXPECT_EQ(value, 1600);
    std::unique_lock later(a, std::defer_lock);
    EXPECT_TRUE(later.try_lock());
    std::unique_lock other(a, std::try_to_lock);
    EXPECT_FALSE(other.owns_lock());
  });
}

TEST(mutex, is_handed_to_one_who_has_waited_long_although_another_takes_it_again_and_again) {
  run({.max_procs = 2}, [] {
    mutex mu;
    std::atomic<bool> stop{false};
    runnel::wait_group wg;
    wg.go([&] {
      while (!stop) {
        mu.lock();
        test::compute_for(200us);  // held nearly always
        mu.unlock();
      }
    });
    runnel::yield();
    std::chrono::nanoseconds worst{0};
    for (int i = 0; i < 20; ++i) {
      auto begin = test::clock::now();
      mu.lock();
      worst = std::max<std::chrono::nanoseconds>(worst, test::clock::now() - begin);
      mu.unlock();
    }
    EXPECT_LT(worst, std::chrono::milliseconds(test::patience(200)));
    stop = true;
    wg.wait();
  });
}

TEST(mutex, under_starvation_serves_those_who_wait_in_their_order) {
  run({.max_procs = 1}, [] {
    constexpr int n = 10;
    mutex mu;
    std::vector<int> order;
    runnel::wait_group wg;
    mu.lock();
    for (int i = 0; i < n; ++i) {
      wg.go([&, i] {
        std::lock_guard hold(mu);
        order.push_back(i);
        test::compute_for(2ms);  // the next one starves
      });
      runnel::yield();  // it has queued up
    }
    test::compute_for(2ms);
    mu.unlock();
    wg.wait();
    std::vector<int> expected;
    for (int i = 0; i < n; ++i) expected.push_back(i);
    EXPECT_EQ(order, expected);
  });
}

TEST(mutex, is_fair_to_all_of_many_who_hammer_it) {
  run({.max_procs = 2}, [] {
    constexpr int n = 8;
    mutex mu;
    std::atomic<bool> stop{false};
    std::vector<long> had(n, 0);
    runnel::wait_group wg;
    for (int i = 0; i < n; ++i) {
      wg.go([&, i] {
        while (!stop) {
          std::lock_guard hold(mu);
          ++had[i];
          test::compute_for(20us);
        }
      });
    }
    runnel::sleep(300ms);
    stop = true;
    wg.wait();
    for (int i = 0; i < n; ++i) EXPECT_GT(had[i], 0) << i;
  });
}

// An object that the last of its users deletes, the count being under its own mutex.
struct counted {
  mutex mu;
  int users;
  explicit counted(int n) : users(n) {}
  static void release(counted* c) {
    c->mu.lock();
    bool last = --c->users == 0;
    c->mu.unlock();
    if (last) delete c;
  }
};

TEST(mutex, may_be_destroyed_by_the_one_who_unlocked_it_last) {
  run({.max_procs = 8}, [] {
    for (int i = 0; i < test::scaled(3000); ++i) {
      auto* c = new counted(6);
      runnel::wait_group wg;
      for (int k = 0; k < 6; ++k) wg.go([c] { counted::release(c); });
      wg.wait();
    }
  });
}

TEST(mutex, may_be_destroyed_by_the_last_even_if_that_is_a_plain_thread) {
  run({.max_procs = 2}, [] {
    for (int i = 0; i < test::scaled(500); ++i) {
      auto* c = new counted(3);
      runnel::wait_group wg;
      wg.go([c] { counted::release(c); });
      wg.go([c] { counted::release(c); });
      std::thread t([c] { counted::release(c); });
      wg.wait();
      t.join();
    }
  });
}

using mutex_in_own_process = test::in_own_process;

TEST_F(mutex_in_own_process, unlocked_while_unlocked_is_fatal) {
  EXPECT_EXIT(
      {
        mutex mu;
        mu.unlock();
      },
      test::exits_with_2, "fatal error: sync: unlock of unlocked mutex");
  EXPECT_EXIT(run([] {
                mutex mu;
                mu.lock();
                mu.unlock();
                try {
                  mu.unlock();
                } catch (...) {
                }
              }),
              test::exits_with_2, "fatal error: sync: unlock of unlocked mutex");
}

}  // namespace
