#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <thread>

#include "runnel/runnel.h"
#include "support/scale.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::run;
using runnel::wait_group;

TEST(wait_group, at_zero_lets_everybody_through_at_once) {
  wait_group wg;
  wg.wait();
  EXPECT_TRUE(wg.wait_for(0s));
  run([&] { wg.wait(); });
}

TEST(wait_group, waits_for_all) {
  run({.max_procs = 4}, [] {
    wait_group wg;
    std::atomic<int> done{0};
    wg.add(100);
    for (int i = 0; i < 100; ++i) {
      runnel::go([&, i] {
        if (i % 3 == 0) runnel::sleep(1ms);
        ++done;
        wg.done();
      });
    }
    wg.wait();
    EXPECT_EQ(done, 100);
  });
}

TEST(wait_group, below_zero_panics_with_gos_text) {
  wait_group wg;
  try {
    wg.done();
    FAIL();
  } catch (const runnel::runtime_error& e) {
    EXPECT_STREQ(e.what(), "sync: negative WaitGroup counter");
  }
}

TEST(wait_group, takes_larger_steps_and_negative_ones) {
  run([] {
    wait_group wg;
    wg.add(1000);
    wg.add(-999);
    EXPECT_FALSE(wg.wait_for(1ms));
    runnel::go([&] { wg.add(-1); });
    wg.wait();
    EXPECT_THROW(wg.add(-5), runnel::runtime_error);
  });
}

TEST(wait_group, can_be_used_again_and_again) {
  run({.max_procs = 4}, [] {
    wait_group wg;
    int sum = 0;
    for (int i = 0; i < test::scaled(5000); ++i) {
      int a = 0, b = 0;
      wg.go([&] { a = 1; });
      wg.go([&] { b = 1; });
      wg.wait();
      sum += a + b;
    }
    EXPECT_EQ(sum, 2 * test::scaled(5000));
  });
}

TEST(wait_group, releases_all_of_many_waiters) {
  run({.max_procs = 4}, [] {
    for (int round = 0; round < test::scaled(50); ++round) {
      wait_group work, waiters;
      std::atomic<int> through{0};
      work.add(1);
      for (int i = 0; i < 20; ++i) {
        waiters.go([&] {
          work.wait();
          ++through;
        });
      }
      std::thread plain([&] {
        work.wait();
        ++through;
      });
      for (int i = 0; i < round % 7; ++i) runnel::yield();
      work.done();
      waiters.wait();
      plain.join();
      EXPECT_EQ(through, 21);
    }
  });
}

TEST(wait_group, counts_a_goroutine_of_go_as_done_when_it_ends_by_goexit) {
  run([] {
    wait_group wg;
    wg.go([] { runnel::goexit(); });
    wg.wait();
  });
}

TEST(wait_group, does_not_count_a_goroutine_whose_function_could_not_be_copied) {
  struct throws_when_copied {
    throws_when_copied() = default;
    throws_when_copied(const throws_when_copied&) { throw std::runtime_error("copy"); }
    void operator()() const {}
  };
  run([] {
    wait_group wg;
    throws_when_copied f;
    EXPECT_THROW(wg.go(f), std::runtime_error);
    EXPECT_TRUE(wg.wait_for(0s));
  });
}

TEST(wait_group, go_takes_functions_that_can_only_be_moved) {
  run([] {
    wait_group wg;
    int seen = 0;
    wg.go([p = std::make_unique<int>(5), &seen] { seen = *p; });
    wg.wait();
    EXPECT_EQ(seen, 5);
  });
}

TEST(wait_group, wait_for_gives_up_not_before_its_time) {
  run([] {
    wait_group wg;
    wg.add(1);
    for (auto limit : {1ms, 3ms, 10ms}) {
      auto begin = test::clock::now();
      EXPECT_FALSE(wg.wait_for(limit));
      EXPECT_GE(test::clock::now() - begin, limit);
    }
    EXPECT_FALSE(wg.wait_for(0s));
    EXPECT_FALSE(wg.wait_for(-1s));
    wg.done();
  });
}

TEST(wait_group, wait_for_returns_as_soon_as_the_counter_is_zero) {
  run([] {
    wait_group wg;
    wg.go([] { runnel::sleep(1ms); });
    EXPECT_TRUE(wg.wait_for(1h));
    wg.go([] { runnel::sleep(1ms); });
    EXPECT_TRUE(wg.wait_for(std::chrono::hours::max()));
    wg.go([] { runnel::sleep(1ms); });
    EXPECT_TRUE(wg.wait_for(std::chrono::duration<double>(1e300)));
  });
}

TEST(wait_group, wait_for_that_races_with_done_is_right_either_way) {
  run({.max_procs = 4}, [] {
    int in_time = 0, late = 0;
    for (int i = 0; i < test::scaled(2000); ++i) {
      wait_group wg;
      std::atomic<bool> done{false};
      wg.add(1);
      runnel::go([&, i] {
        test::compute_for(1us * (i % 100));
        done = true;
        wg.done();
      });
      bool reached = wg.wait_for(50us);
      EXPECT_TRUE(!reached || done);
      ++(reached ? in_time : late);
      wg.wait();
    }
    EXPECT_GT(in_time, 0);
    EXPECT_GT(late, 0);
  });
}

TEST(wait_group, some_waiters_may_give_up_while_others_stay) {
  run({.max_procs = 4}, [] {
    for (int round = 0; round < test::scaled(300); ++round) {
      wait_group work, waiters;
      std::atomic<int> stayed{0};
      work.add(1);
      for (int i = 0; i < 6; ++i) {
        waiters.go([&, i] {
          if (i % 2 == 0) {
            work.wait();
            ++stayed;
          } else {
            work.wait_for(1us * (i * 20));
          }
        });
      }
      std::thread plain([&] { work.wait_for(30us); });
      test::compute_for(1us * (round % 60));
      work.done();
      waiters.wait();
      plain.join();
      EXPECT_EQ(stayed, 3);
    }
  });
}

TEST(wait_group, may_be_destroyed_as_soon_as_wait_has_returned) {
  run({.max_procs = 8}, [] {
    for (int i = 0; i < test::scaled(5000); ++i) {
      auto wg = std::make_unique<wait_group>();
      wg->add(2);
      runnel::go([w = wg.get()] { w->done(); });
      runnel::go([w = wg.get()] { w->done(); });
      wg->wait();
    }
  });
}

TEST(wait_group, may_be_destroyed_as_soon_as_wait_has_returned_on_a_plain_thread) {
  run({.max_procs = 2}, [] {
    runnel::blocking([] {
      std::thread([] {
        for (int i = 0; i < test::scaled(3000); ++i) {
          auto wg = std::make_unique<wait_group>();
          wg->go([] {});
          wg->wait();
        }
      }).join();
    });
  });
}

TEST(wait_group, may_be_destroyed_as_soon_as_wait_for_has_returned_true) {
  run({.max_procs = 4}, [] {
    for (int i = 0; i < test::scaled(3000); ++i) {
      auto wg = std::make_unique<wait_group>();
      wg->add(1);
      runnel::go([w = wg.get()] { w->done(); });
      while (!wg->wait_for(5us)) {
      }
    }
  });
}

}  // namespace
