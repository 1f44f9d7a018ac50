#include "runnel/sync/cond.h"

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "runnel/runnel.h"
#include "support/scale.h"
#include "support/wait.h"

namespace {

using runnel::cond;
using runnel::mutex;
using runnel::run;

TEST(cond, notify_one_wakes_those_who_wait_in_their_order) {
  run({.max_procs = 1}, [] {
    mutex mu;
    cond c(mu);
    std::vector<int> order;
    runnel::wait_group wg;
    for (int i = 0; i < 8; ++i) {
      wg.go([&, i] {
        std::lock_guard hold(mu);
        c.wait();
        order.push_back(i);
      });
      runnel::yield();  // it waits
    }
    for (std::size_t i = 0; i < 8; ++i) {
      c.notify_one();
      EXPECT_TRUE(test::eventually([&] { return order.size() == i + 1; }));
    }
    wg.wait();
    EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}));
  });
}

TEST(cond, notify_all_wakes_everybody_who_waits_threads_too) {
  for (int procs : {1, 8}) {
    run({.max_procs = procs}, [] {
      mutex mu;
      cond c(mu);
      int waiting = 0;
      bool ready = false;
      auto wait = [&] {
        std::lock_guard hold(mu);
        ++waiting;
        c.wait([&] { return ready; });
        --waiting;
      };
      runnel::wait_group wg;
      for (int i = 0; i < 10; ++i) wg.go(wait);
      std::thread plain(wait);
      EXPECT_TRUE(test::eventually([&] {
        std::lock_guard hold(mu);
        return waiting == 11;
      }));
      {
        std::lock_guard hold(mu);
        ready = true;
      }
      c.notify_all();
      wg.wait();
      runnel::blocking([&] { plain.join(); });
      EXPECT_EQ(waiting, 0);
    });
  }
}

TEST(cond, notifying_nobody_does_nothing) {
  mutex mu;
  cond c(mu);
  c.notify_one();
  c.notify_all();
  run({.max_procs = 1}, [&] {
    bool woken = false;
    runnel::go([&] {
      std::lock_guard hold(mu);
      c.wait();
      woken = true;
    });
    for (int i = 0; i < 10; ++i) runnel::yield();
    EXPECT_FALSE(woken);
    c.notify_one();
    EXPECT_TRUE(test::eventually([&] { return woken; }));
  });
}

TEST(cond, loses_no_wake_up_between_unlocking_and_waiting) {
  for (int procs : {1, 2, 8}) {
    run({.max_procs = procs}, [] {
      mutex mu;
      cond not_empty(mu), not_full(mu);
      std::deque<int> queue;
      long sum = 0;
      const int n = test::scaled(20'000);
      runnel::wait_group wg;
      for (int k = 0; k < 2; ++k) {
        wg.go([&] {
          for (int i = 0; i < n; ++i) {
            std::lock_guard hold(mu);
            not_full.wait([&] { return queue.size() < 2; });
            queue.push_back(1);
            not_empty.notify_one();
          }
        });
        wg.go([&] {
          for (int i = 0; i < n; ++i) {
            std::lock_guard hold(mu);
            not_empty.wait([&] { return !queue.empty(); });
            sum += queue.front();
            queue.pop_front();
            not_full.notify_one();
          }
        });
      }
      wg.wait();
      EXPECT_EQ(sum, 2L * n);
    });
  }
}

TEST(cond, passes_messages_between_plain_threads_and_goroutines) {
  run({.max_procs = 2}, [] {
    mutex mu;
    cond c(mu);
    int turn = 0;
    const int n = test::scaled(2000);
    auto play = [&](int me) {
      for (int i = 0; i < n; ++i) {
        std::lock_guard hold(mu);
        c.wait([&] { return turn == me; });
        turn = 1 - me;
        c.notify_all();
      }
    };
    std::thread plain(play, 1);
    play(0);
    runnel::blocking([&] { plain.join(); });
    EXPECT_EQ(turn, 0);
  });
}

TEST(cond, works_with_any_lock) {
  run({.max_procs = 2}, [] {
    runnel::shared_mutex rw;
    cond on_rw(rw);
    std::unique_lock guard(rw, std::defer_lock);
    cond on_guard(guard);
    std::shared_lock reader(rw, std::defer_lock);
    cond on_reader(reader);
    bool ready = false;
    auto notify = [&](auto& c) {
      ready = false;
      runnel::go([&] {
        std::lock_guard hold(rw);
        ready = true;
        c.notify_one();
      });
    };
    rw.lock();
    notify(on_rw);
    on_rw.wait([&] { return ready; });
    rw.unlock();
    guard.lock();
    notify(on_guard);
    on_guard.wait([&] { return ready; });
    guard.unlock();
    reader.lock();
    notify(on_reader);
    on_reader.wait([&] { return ready; });
    reader.unlock();
  });
}

TEST(cond, holds_the_lock_when_the_predicate_throws) {
  mutex mu;
  cond c(mu);
  std::unique_lock hold(mu);
  EXPECT_THROW(c.wait([]() -> bool { throw std::runtime_error("no"); }), std::runtime_error);
  EXPECT_FALSE(mu.try_lock());
}

TEST(cond, whose_lock_cannot_be_unlocked_has_nobody_waiting) {
  struct stuck {
    void lock() {}
    void unlock() { throw std::runtime_error("stuck"); }
  } lock;
  cond c(lock);
  EXPECT_THROW(c.wait(), std::runtime_error);
  c.notify_all();
}

TEST(cond, skips_those_of_an_ended_run) {
  mutex mu;
  cond c(mu);
  run({.max_procs = 1}, [&] {
    for (int i = 0; i < 3; ++i) {
      runnel::go([&] {
        std::lock_guard hold(mu);
        c.wait();
      });
    }
    runnel::yield();
  });
  run({.max_procs = 1}, [&] {
    bool woken = false;
    runnel::go([&] {
      std::lock_guard hold(mu);
      c.wait();
      woken = true;
    });
    runnel::yield();
    c.notify_one();
    EXPECT_TRUE(test::eventually([&] { return woken; }));
  });
}

TEST(cond, may_be_destroyed_when_all_have_been_notified) {
  run({.max_procs = 4}, [] {
    for (int i = 0; i < test::scaled(2000); ++i) {
      mutex mu;
      auto c = std::make_unique<cond<mutex>>(mu);
      int waiting = 0;
      runnel::wait_group wg;
      for (int k = 0; k < 3; ++k) {
        wg.go([&, c = c.get()] {
          std::lock_guard hold(mu);
          ++waiting;
          c->wait();
        });
      }
      EXPECT_TRUE(test::eventually([&] {
        std::lock_guard hold(mu);
        return waiting == 3;
      }));
      c->notify_all();
      c.reset();
      wg.wait();
    }
  });
}

}  // namespace
