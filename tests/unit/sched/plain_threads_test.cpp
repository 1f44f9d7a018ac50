// Threads that the runtime did not start use it like goroutines do; they block, the goroutines go on.

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "runnel/runnel.h"
#include "support/scale.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::run;

// Threads of a test, joined at its end.
class thread_pool {
 public:
  template <class F>
  void start(F f) {
    threads_.emplace_back(std::move(f));
  }
  ~thread_pool() {
    for (auto& t : threads_) t.join();
  }

 private:
  std::vector<std::thread> threads_;
};

TEST(plain_threads, may_start_goroutines) {
  run({.max_procs = 2}, [] {
    constexpr int threads = 4;
    const int each = test::scaled(5000);
    std::atomic<int> ran{0};
    {
      thread_pool pool;
      for (int t = 0; t < threads; ++t) {
        pool.start([&] {
          for (int i = 0; i < each; ++i) runnel::go([&] { ++ran; });
        });
      }
    }
    EXPECT_TRUE(test::eventually([&] { return ran == threads * each; }));
  });
}

TEST(plain_threads, wake_an_idle_runtime_by_starting_a_goroutine) {
  run({.max_procs = 4}, [] {
    runnel::wait_group finished;
    finished.add(1);
    std::thread t([&] {
      for (int i = 0; i < test::scaled(500); ++i) {
        runnel::wait_group wg;
        wg.go([] {});
        wg.wait();
      }
      finished.done();
    });
    finished.wait();  // parked: nothing else runs
    t.join();
  });
}

TEST(plain_threads, wait_for_goroutines) {
  run([] {
    std::atomic<int> done{0};
    std::thread t([&] {
      runnel::wait_group wg;
      for (int i = 0; i < 100; ++i) {
        wg.go([&] {
          runnel::sleep(1ms);
          ++done;
        });
      }
      wg.wait();
      EXPECT_EQ(done, 100);
    });
    runnel::blocking([&] { t.join(); });
  });
}

TEST(plain_threads, are_waited_for_by_goroutines) {
  run({.max_procs = 1}, [] {
    runnel::wait_group wg;
    std::atomic<bool> written{false};
    wg.add(1);
    std::thread t([&] {
      test::compute_for(2ms);
      written = true;
      wg.done();
    });
    wg.wait();
    EXPECT_TRUE(written);
    t.join();
  });
}

TEST(plain_threads, exclude_goroutines_and_one_another_by_a_mutex) {
  run({.max_procs = 4}, [] {
    runnel::mutex mu;
    long counter = 0;
    const int each = test::scaled(5000);
    runnel::wait_group wg;
    auto work = [&] {
      for (int i = 0; i < each; ++i) {
        std::lock_guard hold(mu);
        ++counter;
        if (i % 64 == 0) runnel::yield();
      }
    };
    thread_pool pool;
    for (int i = 0; i < 3; ++i) {
      wg.add(1);
      pool.start([&] {
        work();
        wg.done();
      });
      wg.go(work);
    }
    wg.wait();
    EXPECT_EQ(counter, 6L * each);
  });
}

TEST(plain_threads, pass_a_mutex_to_and_fro_with_a_goroutine) {
  run({.max_procs = 2}, [] {
    const int rounds = test::scaled(3000);
    runnel::mutex ping, pong;
    ping.lock();
    pong.lock();
    int seen = 0;
    std::thread t([&] {
      for (int i = 0; i < rounds; ++i) {
        ping.lock();
        ++seen;
        pong.unlock();
      }
    });
    for (int i = 0; i < rounds; ++i) {
      ping.unlock();
      pong.lock();
    }
    EXPECT_EQ(seen, rounds);
    t.join();
  });
}

TEST(plain_threads, sleep_for_at_least_as_long_as_asked) {
  run([] {
    std::thread t([] {
      auto begin = test::clock::now();
      runnel::sleep(3ms);
      EXPECT_GE(test::clock::now() - begin, 3ms);
      auto until = test::clock::now() + 2ms;
      runnel::sleep_until(until);
      EXPECT_GE(test::clock::now(), until);
    });
    runnel::blocking([&] { t.join(); });
  });
}

TEST(plain_threads, may_yield) {
  runnel::yield();
  std::thread([] { runnel::yield(); }).join();
}

TEST(plain_threads, give_up_waiting_when_the_time_is_over) {
  runnel::wait_group wg;
  wg.add(1);
  auto begin = test::clock::now();
  EXPECT_FALSE(wg.wait_for(3ms));
  EXPECT_GE(test::clock::now() - begin, 3ms);
  wg.done();
  EXPECT_TRUE(wg.wait_for(0s));
}

TEST(plain_threads, may_lock_and_wait_when_nothing_runs) {
  runnel::mutex mu;
  runnel::wait_group wg;
  int counter = 0;
  {
    thread_pool pool;
    wg.add(4);
    for (int i = 0; i < 4; ++i) {
      pool.start([&] {
        for (int k = 0; k < 1000; ++k) {
          std::lock_guard hold(mu);
          ++counter;
        }
        wg.done();
      });
    }
    wg.wait();
  }
  EXPECT_EQ(counter, 4000);
}

TEST(plain_threads, may_change_max_procs_and_ask_for_numbers) {
  run({.max_procs = 2}, [] {
    std::thread t([] {
      EXPECT_EQ(runnel::max_procs(3), 2);
      EXPECT_EQ(runnel::max_procs(), 3);
      EXPECT_GE(runnel::num_goroutine(), 1U);
      EXPECT_EQ(runnel::goroutine_id(), 0U);
      runnel::lock_os_thread();
      runnel::unlock_os_thread();
    });
    runnel::blocking([&] { t.join(); });
    EXPECT_EQ(runnel::max_procs(), 3);
  });
}

}  // namespace
