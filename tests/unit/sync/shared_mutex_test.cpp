#include "runnel/sync/shared_mutex.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <vector>

#include "runnel/runnel.h"
#include "support/death.h"
#include "support/scale.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::run;
using runnel::shared_mutex;

// Enough for the lock to give each P its own counter.
void read_often(shared_mutex& mu, int times = 3000) {
  for (int i = 0; i < times; ++i) {
    mu.lock_shared();
    mu.unlock_shared();
  }
}

// Lets the others get to where they wait.
void let_others_wait() {
  for (int i = 0; i < 20; ++i) runnel::yield();
}

TEST(shared_mutex, lets_one_writer_in_at_a_time_and_no_reader_with_it) {
  for (int procs : {1, 2, 8}) {
    run({.max_procs = procs}, [] {
      shared_mutex mu;
      long a = 0, b = 0;
      std::atomic<int> torn{0};
      const int each = test::scaled(10'000);
      runnel::wait_group wg;
      for (int g = 0; g < 8; ++g) {
        wg.go([&, g] {
          for (int i = 0; i < each; ++i) {
            if ((i + g) % 50 == 0) {
              std::lock_guard hold(mu);
              ++a;
              ++b;
            } else {
              std::shared_lock hold(mu);
              torn += a != b;
            }
          }
        });
      }
      wg.wait();
      EXPECT_EQ(torn, 0);
      EXPECT_EQ(a, 8L * each / 50);
    });
  }
}

TEST(shared_mutex, excludes_plain_threads_and_goroutines_alike) {
  run({.max_procs = 2}, [] {
    shared_mutex mu;
    long a = 0, b = 0;
    std::atomic<int> torn{0};
    const int each = test::scaled(5'000);
    auto work = [&] {
      for (int i = 0; i < each; ++i) {
        if (i % 20 == 0) {
          std::lock_guard hold(mu);
          ++a;
          ++b;
        } else {
          std::shared_lock hold(mu);
          torn += a != b;
        }
      }
    };
    runnel::wait_group wg;
    for (int g = 0; g < 4; ++g) wg.go(work);
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) threads.emplace_back(work);
    wg.wait();
    runnel::blocking([&] {
      for (auto& t : threads) t.join();
    });
    EXPECT_EQ(torn, 0);
    EXPECT_EQ(a, 7L * each / 20);
  });
}

TEST(shared_mutex, excludes_goroutines_that_park_while_they_hold_it) {
  run({.max_procs = 4}, [] {
    shared_mutex mu;
    std::atomic<int> writers{0}, readers{0}, bad{0};
    runnel::wait_group wg;
    for (int g = 0; g < 16; ++g) {
      wg.go([&, g] {
        for (int i = 0; i < test::scaled(300); ++i) {
          if ((i + g) % 10 == 0) {
            std::lock_guard hold(mu);
            bad += writers.fetch_add(1) != 0 || readers != 0;
            runnel::yield();
            --writers;
          } else {
            // Mostly at once; sometimes across a yield, and so perhaps on another P.
            std::shared_lock hold(mu);
            ++readers;
            if (i % 7 == 0) runnel::yield();
            bad += writers != 0;
            --readers;
          }
        }
      });
    }
    wg.wait();
    EXPECT_EQ(bad, 0);
  });
}

TEST(shared_mutex, is_shared_by_readers_at_the_same_time) {
  run({.max_procs = 2}, [] {
    shared_mutex mu;
    for (int warm = 0; warm < 2; ++warm) {
      std::atomic<int> inside{0};
      runnel::wait_group wg;
      for (int i = 0; i < 10; ++i) {
        wg.go([&] {
          std::shared_lock hold(mu);
          ++inside;
          EXPECT_TRUE(test::eventually([&] { return inside == 10; }));
        });
      }
      wg.wait();
      read_often(mu);
    }
  });
}

TEST(shared_mutex, try_lock_and_try_lock_shared_answer_for_each_state) {
  auto check = [](shared_mutex& mu) {
    EXPECT_TRUE(mu.try_lock());
    EXPECT_FALSE(mu.try_lock());
    EXPECT_FALSE(mu.try_lock_shared());
    mu.unlock();
    EXPECT_TRUE(mu.try_lock_shared());
    EXPECT_TRUE(mu.try_lock_shared());
    EXPECT_FALSE(mu.try_lock());
    mu.unlock_shared();
    EXPECT_FALSE(mu.try_lock());
    mu.unlock_shared();
    EXPECT_TRUE(mu.try_lock());
    mu.unlock();
  };
  shared_mutex mu;
  check(mu);
  for (int procs : {1, 2}) {
    run({.max_procs = procs}, [&] {
      shared_mutex own;
      check(own);
      read_often(own);
      check(own);
    });
  }
  std::thread([&] { check(mu); }).join();
}

TEST(shared_mutex, a_writer_that_waits_keeps_new_readers_out) {
  for (int times : {0, 3000}) {
    run({.max_procs = 1}, [times] {
      shared_mutex mu;
      read_often(mu, times);
      std::vector<char> order;
      runnel::wait_group wg;
      mu.lock_shared();
      wg.go([&] {
        std::lock_guard hold(mu);
        order.push_back('w');
      });
      let_others_wait();
      EXPECT_FALSE(mu.try_lock_shared());
      wg.go([&] {
        std::shared_lock hold(mu);
        order.push_back('r');
      });
      let_others_wait();
      EXPECT_TRUE(order.empty());
      mu.unlock_shared();
      wg.wait();
      EXPECT_EQ(order, (std::vector<char>{'w', 'r'}));
    });
  }
}

TEST(shared_mutex, readers_that_wait_come_before_the_next_writer) {
  run({.max_procs = 1}, [] {
    shared_mutex mu;
    std::vector<char> order;
    runnel::wait_group wg;
    mu.lock();
    wg.go([&] {
      std::lock_guard hold(mu);
      order.push_back('w');
    });
    let_others_wait();
    for (int i = 0; i < 2; ++i) {
      wg.go([&] {
        std::shared_lock hold(mu);
        order.push_back('r');
      });
    }
    let_others_wait();
    mu.unlock();
    mu.lock();  // even this one
    EXPECT_EQ(std::count(order.begin(), order.end(), 'r'), 2);
    mu.unlock();
    wg.wait();
  });
}

TEST(shared_mutex, may_be_unlocked_by_another_goroutine) {
  for (int times : {0, 3000}) {
    run({.max_procs = 4}, [times] {
      shared_mutex mu;
      read_often(mu, times);
      for (int i = 0; i < test::scaled(1000); ++i) {
        mu.lock_shared();
        runnel::wait_group wg;
        wg.go([&] { mu.unlock_shared(); });
        mu.lock();
        runnel::go([&] { mu.unlock(); });
        wg.wait();
        mu.lock_shared();
        mu.unlock_shared();
      }
      mu.lock();
      mu.unlock();
    });
  }
}

TEST(shared_mutex, read_locked_by_a_goroutine_may_be_unlocked_by_a_plain_thread) {
  run({.max_procs = 2}, [] {
    shared_mutex mu;
    for (int i = 0; i < 20; ++i) {
      read_often(mu);
      mu.lock_shared();
      runnel::blocking([&] { std::thread([&] { mu.unlock_shared(); }).join(); });
      runnel::blocking([&] { std::thread([&] { mu.lock_shared(); }).join(); });
      EXPECT_FALSE(mu.try_lock());
      mu.unlock_shared();
      EXPECT_TRUE(mu.try_lock());
      mu.unlock();
    }
  });
}

TEST(shared_mutex, works_while_the_number_of_ps_changes) {
  run({.max_procs = 1}, [] {
    shared_mutex mu;
    long a = 0, b = 0;
    std::atomic<int> torn{0};
    std::atomic<bool> stop{false};
    runnel::wait_group wg;
    for (int g = 0; g < 8; ++g) {
      wg.go([&, g] {
        for (int i = 0; !stop; ++i) {
          if (i % 64 == 8 * g) {
            std::lock_guard hold(mu);
            ++a;
            ++b;
          } else {
            std::shared_lock hold(mu);
            torn += a != b;
          }
          if (i % 1000 == 0) runnel::yield();
        }
      });
    }
    for (int i = 0; i < test::scaled(200); ++i) {
      runnel::max_procs(1 + i * 5 % 8);
      runnel::yield();
    }
    stop = true;
    wg.wait();
    EXPECT_EQ(torn, 0);
  });
}

TEST(shared_mutex, a_writer_gets_in_although_readers_come_without_end) {
  run({.max_procs = 2}, [] {
    shared_mutex mu;
    std::atomic<bool> stop{false};
    runnel::wait_group wg;
    for (int g = 0; g < 4; ++g) {
      wg.go([&] {
        while (!stop) {
          std::shared_lock hold(mu);
          test::compute_for(20us);
        }
      });
    }
    std::chrono::nanoseconds worst{0};
    for (int i = 0; i < 20; ++i) {
      auto begin = test::clock::now();
      mu.lock();
      worst = std::max<std::chrono::nanoseconds>(worst, test::clock::now() - begin);
      mu.unlock();
    }
    EXPECT_LT(worst, std::chrono::milliseconds(test::patience(300)));
    stop = true;
    wg.wait();
  });
}

TEST(shared_mutex, readers_get_in_although_writers_come_without_end) {
  run({.max_procs = 2}, [] {
    shared_mutex mu;
    std::atomic<bool> stop{false};
    runnel::wait_group wg;
    for (int g = 0; g < 4; ++g) {
      wg.go([&] {
        while (!stop) {
          std::lock_guard hold(mu);
          test::compute_for(20us);
        }
      });
    }
    for (int i = 0; i < 20; ++i) std::shared_lock hold(mu);
    stop = true;
    wg.wait();
  });
}

TEST(shared_mutex, is_fair_to_all_of_many_writers) {
  run({.max_procs = 2}, [] {
    constexpr int n = 6;
    shared_mutex mu;
    std::atomic<int> still_without{n};
    runnel::wait_group wg;
    for (int i = 0; i < n; ++i) {
      wg.go([&] {
        for (bool first = true; still_without != 0; first = false) {
          std::lock_guard hold(mu);
          if (first) --still_without;
          test::compute_for(50us);
        }
      });
    }
    wg.wait();
  });
}

TEST(shared_mutex, held_by_a_reader_of_an_ended_run_stays_usable_for_readers) {
  shared_mutex mu;
  run({.max_procs = 2}, [&] {
    read_often(mu);
    mu.lock_shared();
    runnel::go([&] { mu.lock(); });  // waits when the run ends
    EXPECT_TRUE(test::eventually([&] {
      bool free = mu.try_lock_shared();
      if (free) mu.unlock_shared();
      return !free;
    }));
  });
  // The writer will never come.
  EXPECT_TRUE(mu.try_lock_shared());
  mu.unlock_shared();
  mu.unlock_shared();  // for main
  mu.lock();
  mu.unlock();
  run([&] {
    mu.lock();
    mu.unlock();
  });
}

TEST(shared_mutex, drops_waiters_of_an_ended_run) {
  shared_mutex mu;
  mu.lock();
  run({.max_procs = 1}, [&] {
    runnel::go([&] { mu.lock(); });
    runnel::go([&] { mu.lock_shared(); });
    let_others_wait();
  });
  mu.unlock();
  EXPECT_TRUE(mu.try_lock());
  mu.unlock();
  mu.lock_shared();
  mu.unlock_shared();
}

struct counted {
  shared_mutex mu;
  int users;
  explicit counted(int n) : users(n) {}
  static void release(counted* c) {
    read_often(c->mu, 60);
    c->mu.lock();
    bool last = --c->users == 0;
    c->mu.unlock();
    if (last) delete c;
  }
};

TEST(shared_mutex, may_be_destroyed_by_the_writer_who_unlocked_it_last) {
  run({.max_procs = 8}, [] {
    for (int i = 0; i < test::scaled(1000); ++i) {
      auto* c = new counted(5);
      runnel::wait_group wg;
      for (int k = 0; k < 4; ++k) wg.go([c] { counted::release(c); });
      if (i % 10 == 0) {
        std::thread([c] { counted::release(c); }).detach();
      } else {
        wg.go([c] { counted::release(c); });
      }
      wg.wait();
    }
  });
}

using shared_mutex_in_own_process = test::in_own_process;

TEST_F(shared_mutex_in_own_process, unlocked_while_unlocked_is_fatal) {
  EXPECT_EXIT(
      {
        shared_mutex mu;
        mu.unlock();
      },
      test::exits_with_2, "fatal error: sync: Unlock of unlocked RWMutex");
  EXPECT_EXIT(
      {
        shared_mutex mu;
        mu.lock_shared();
        mu.unlock();
      },
      test::exits_with_2, "fatal error: sync: Unlock of unlocked RWMutex");
}

TEST_F(shared_mutex_in_own_process, unlocked_by_a_reader_who_is_none_is_fatal) {
  EXPECT_EXIT(
      {
        shared_mutex mu;
        mu.unlock_shared();
      },
      test::exits_with_2, "fatal error: sync: RUnlock of unlocked RWMutex");
  for (int procs : {1, 2}) {
    EXPECT_EXIT(run({.max_procs = procs},
                    [] {
                      shared_mutex mu;
                      read_often(mu);
                      mu.unlock_shared();
                    }),
                test::exits_with_2, "fatal error: sync: RUnlock of unlocked RWMutex");
  }
  EXPECT_EXIT(
      {
        shared_mutex mu;
        mu.lock();
        mu.unlock_shared();
      },
      test::exits_with_2, "fatal error: sync: RUnlock of unlocked RWMutex");
}

TEST_F(shared_mutex_in_own_process, works_without_membarrier) {
  EXPECT_EXIT(
      {
        with_environment("RUNNEL_MEMBARRIER", "off");
        bool ok = false;
        run({.max_procs = 2}, [&] {
          shared_mutex mu;
          long value = 0;
          runnel::wait_group wg;
          for (int g = 0; g < 4; ++g) {
            wg.go([&] {
              for (int i = 0; i < 5000; ++i) {
                mu.lock_shared();
                mu.unlock_shared();
                if (i % 10 == 0) {
                  std::lock_guard hold(mu);
                  ++value;
                }
              }
            });
          }
          wg.wait();
          ok = value == 2000;
        });
        test::finish(ok);
      },
      test::succeeds, "");
}

}  // namespace
