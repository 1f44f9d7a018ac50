#include "runnel/sync/semaphore.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "runnel/runnel.h"
#include "support/scale.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::run;
using runnel::semaphore;

void let_others_wait() {
  for (int i = 0; i < 10; ++i) runnel::yield();
}

TEST(semaphore, lets_no_more_in_than_it_has_units) {
  for (int procs : {1, 8}) {
    run({.max_procs = procs}, [] {
      semaphore s(5);
      std::atomic<int> inside{0}, too_many{0};
      auto work = [&](int g) {
        for (int i = 0; i < test::scaled(2000); ++i) {
          int n = 1 + (i + g) % 3;
          s.acquire(static_cast<std::size_t>(n));
          too_many += inside.fetch_add(n) + n > 5;
          if (i % 16 == 0) runnel::yield();
          inside -= n;
          s.release(static_cast<std::size_t>(n));
        }
      };
      runnel::wait_group wg;
      for (int g = 0; g < 8; ++g) wg.go([&, g] { work(g); });
      std::thread plain(work, 1);
      wg.wait();
      runnel::blocking([&] { plain.join(); });
      EXPECT_EQ(too_many, 0);
      EXPECT_TRUE(s.try_acquire(5));
    });
  }
}

TEST(semaphore, try_acquire_takes_what_is_free) {
  semaphore s(3);
  EXPECT_FALSE(s.try_acquire(4));
  EXPECT_TRUE(s.try_acquire(2));
  EXPECT_FALSE(s.try_acquire(2));
  EXPECT_TRUE(s.try_acquire());
  EXPECT_TRUE(s.try_acquire(0));
  EXPECT_FALSE(s.try_acquire());
  s.release(3);
  EXPECT_TRUE(s.try_acquire(3));
}

TEST(semaphore, serves_those_who_wait_in_their_order) {
  run({.max_procs = 1}, [] {
    semaphore s(1);
    std::vector<int> order;
    runnel::wait_group wg;
    s.acquire();
    for (int i = 0; i < 6; ++i) {
      wg.go([&, i] {
        s.acquire();
        order.push_back(i);
        s.release();
      });
      runnel::yield();
    }
    s.release();
    wg.wait();
    EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5}));
  });
}

TEST(semaphore, keeps_small_requests_behind_a_large_one) {
  run({.max_procs = 1}, [] {
    semaphore s(4);
    std::vector<int> order;
    runnel::wait_group wg;
    s.acquire(2);
    wg.go([&] {
      s.acquire(4);
      order.push_back(4);
      s.release(4);
    });
    let_others_wait();
    wg.go([&] {
      s.acquire(1);
      order.push_back(1);
      s.release(1);
    });
    let_others_wait();
    EXPECT_FALSE(s.try_acquire(1));
    EXPECT_TRUE(order.empty());
    s.release(2);
    wg.wait();
    EXPECT_EQ(order, (std::vector<int>{4, 1}));
  });
}

TEST(semaphore, released_more_than_held_panics_and_stays_as_it_was) {
  semaphore s(2);
  auto text = [&](std::size_t n) {
    try {
      s.release(n);
    } catch (const runnel::runtime_error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_EQ(text(1), "semaphore: released more than held");
  s.acquire();
  EXPECT_EQ(text(2), "semaphore: released more than held");
  EXPECT_EQ(text(SIZE_MAX), "semaphore: released more than held");
  EXPECT_EQ(text(1), "");
  EXPECT_TRUE(s.try_acquire(2));
}

TEST(semaphore, asked_for_more_than_its_capacity_panics_or_waits_for_the_time_given) {
  run([] {
    semaphore s(2);
    EXPECT_THROW(s.acquire(3), runnel::runtime_error);
    EXPECT_FALSE(s.try_acquire(3));
    auto begin = test::clock::now();
    EXPECT_FALSE(s.acquire_for(2ms, 3));
    EXPECT_GE(test::clock::now() - begin, 2ms);
    EXPECT_TRUE(s.try_acquire(2));
  });
}

TEST(semaphore, acquire_for_gives_up_not_before_its_time_and_takes_nothing) {
  run([] {
    semaphore s(2);
    s.acquire(1);
    for (auto limit : {0ms, 1ms, 5ms}) {
      auto begin = test::clock::now();
      EXPECT_FALSE(s.acquire_for(limit, 2));
      EXPECT_GE(test::clock::now() - begin, limit);
    }
    EXPECT_TRUE(s.acquire_for(0s));
    s.release(2);
    EXPECT_TRUE(s.try_acquire(2));
  });
}

TEST(semaphore, acquire_for_returns_as_soon_as_there_are_units) {
  run({.max_procs = 2}, [] {
    semaphore s(1);
    for (int i = 0; i < 50; ++i) {
      s.acquire();
      runnel::go([&] { s.release(); });
      EXPECT_TRUE(s.acquire_for(1h));
      s.release();
    }
    runnel::blocking([&] {
      std::thread([&] {
        s.acquire();
        runnel::go([&] { s.release(); });
        EXPECT_TRUE(s.acquire_for(1h));
        s.release();
      }).join();
    });
  });
}

TEST(semaphore, one_who_gives_up_at_the_head_lets_those_behind_him_through) {
  run({.max_procs = 1}, [] {
    semaphore s(2);
    runnel::wait_group wg;
    s.acquire(1);
    bool through = false;
    wg.go([&] { EXPECT_FALSE(s.acquire_for(5ms, 2)); });
    let_others_wait();
    wg.go([&] {
      s.acquire(1);
      through = true;
    });
    wg.wait();
    EXPECT_TRUE(through);
  });
}

TEST(semaphore, acquire_for_that_races_with_release_loses_no_unit) {
  run({.max_procs = 4}, [] {
    semaphore s(2);
    std::atomic<int> got{0}, missed{0};
    runnel::wait_group wg;
    for (int g = 0; g < 6; ++g) {
      wg.go([&, g] {
        for (int i = 0; i < test::scaled(1000); ++i) {
          std::size_t n = 1 + static_cast<std::size_t>(g) % 2;
          if (s.acquire_for(1us * (i % 40), n)) {
            ++got;
            test::compute_for(1us * (i % 20));
            s.release(n);
          } else {
            ++missed;
          }
        }
      });
    }
    wg.wait();
    EXPECT_GT(got, 0);
    EXPECT_TRUE(s.try_acquire(2));
  });
}

TEST(semaphore, drops_those_of_an_ended_run) {
  semaphore s(2);
  s.acquire(1);
  run({.max_procs = 1}, [&] {
    runnel::go([&] { s.acquire(2); });
    let_others_wait();
    EXPECT_FALSE(s.try_acquire(1));
  });
  EXPECT_TRUE(s.try_acquire(1));
  s.release(2);
  s.acquire(2);
  s.release(2);
}

TEST(semaphore, may_be_destroyed_by_the_one_who_waited_for_the_last_release) {
  run({.max_procs = 4}, [] {
    for (int i = 0; i < test::scaled(3000); ++i) {
      auto s = std::make_unique<semaphore>(2);
      s->acquire(2);
      runnel::go([s = s.get()] { s->release(1); });
      runnel::go([s = s.get()] { s->release(1); });
      s->acquire(2);
    }
  });
}

}  // namespace
