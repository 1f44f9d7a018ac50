// after(), and timers whose handles go, whose Ps go, or whose run ends.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>
#include <vector>

#include "runnel/runnel.h"
#include "support/scale.h"
#include "support/timers_left.h"
#include "support/wait.h"
#include "support/waiting.h"

namespace {

using namespace std::chrono_literals;
using runnel::after;
using runnel::chan_errc;
using runnel::recv;
using runnel::recv_chan;
using runnel::run;
using runnel::select;
using runnel::time_point;
using runnel::timer;

TEST(after, sends_the_time_once) {
  run([] {
    auto begin = test::clock::now();
    auto ch = after(2ms);
    EXPECT_GE(*ch.recv(), begin + 2ms);
    EXPECT_EQ(ch.recv_for(1ms), std::unexpected(chan_errc::timeout));
  });
}

TEST(after, in_a_select_in_a_loop_leaves_nothing_behind) {
  run({.max_procs = 2}, [] {
    auto ready = runnel::make_chan<int>(1);
    auto turn = [&] {
      ready.send(1);
      ASSERT_EQ(select(recv(ready), recv(after(1h))), 0u);
    };
    for (int i = 0; i < 100; ++i) turn();
    std::size_t before = test::bytes_allocated();
    for (int i = 0; i < test::scaled(100'000); ++i) turn();
    if (!test::sanitized) {
      EXPECT_LT(test::bytes_allocated(), before + (1u << 16));
    }
    EXPECT_EQ(test::timers_in_heaps(), 0u);
  });
}

TEST(after, in_a_select_that_parks_in_a_loop_leaves_nothing_behind) {
  for (int procs : {1, 4}) {
    run({.max_procs = procs}, [] {
      auto ready = runnel::make_chan<int>();
      const int n = test::scaled(100'000);
      runnel::go([=] {
        for (int i = 0; i < n; ++i) ready.send(1);
      });
      std::size_t before = test::bytes_allocated();
      for (int i = 0; i < n; ++i) ASSERT_EQ(select(recv(ready), recv(after(1h))), 0u);
      if (!test::sanitized) {
        EXPECT_LT(test::bytes_allocated(), before + (1u << 20));
      }
      EXPECT_EQ(test::timers_in_heaps(), 0u);
    });
  }
}

TEST(after, that_fires_in_a_select_in_a_loop_leaves_nothing_behind) {
  run({.max_procs = 2}, [] {
    auto never = runnel::make_chan<int>();
    for (int i = 0; i < test::scaled(5'000); ++i) {
      ASSERT_EQ(select(recv(never), recv(after(1us * (i % 30)))), 1u);
    }
    EXPECT_EQ(test::timers_in_heaps(), 0u);
  });
}

TEST(after, works_on_plain_threads) {
  run({.max_procs = 1}, [] {
    std::atomic<int> early{0};
    auto work = [&] {
      auto never = runnel::make_chan<int>();
      for (int i = 0; i < test::scaled(200); ++i) {
        auto d = 10us * (i % 20);
        auto begin = test::clock::now();
        if (i % 2 == 0) {
          after(d).recv();
        } else {
          select(recv(never), recv(after(d)));
        }
        early += test::clock::now() < begin + d;
      }
    };
    std::thread a(work), b(work);
    runnel::wait_group wg;
    wg.go(work);
    wg.wait();
    runnel::blocking([&] {
      a.join();
      b.join();
    });
    EXPECT_EQ(early, 0);
    EXPECT_EQ(test::timers_in_heaps(), 0u);
  });
}

TEST(after, reaches_a_plain_thread_while_the_only_p_computes) {
  run({.max_procs = 1}, [] {
    std::atomic<bool> received{false};
    std::thread plain([&] {
      after(1ms).recv();
      received = true;
    });
    EXPECT_TRUE(test::compute_until([&] { return received.load(); }));
    plain.join();
  });
}

TEST(after, waited_for_by_a_plain_thread_before_there_is_a_run_fires_in_the_run) {
  std::atomic<bool> received{false};
  auto ch = after(1ms);
  std::thread plain([&] {
    ch.recv();
    received = true;
  });
  EXPECT_TRUE(test::eventually([&] { return received || test::timers_in_heaps() == 1; }));
  run({.max_procs = 2}, [&] { EXPECT_TRUE(test::eventually([&] { return received.load(); })); });
  plain.join();
}

TEST(after, whose_handle_goes_while_its_callback_is_under_way_is_whole_until_then) {
  for (int procs : {1, 4}) {
    run({.max_procs = procs}, [] {
      runnel::wait_group wg;
      for (int k = 0; k < 4; ++k) {
        wg.go([k] {
          for (int i = 0; i < test::scaled(3000); ++i) {
            auto d = 1us * ((i * 7 + k) % 60);
            (void)after(d).recv_for(d);
            select(recv(after(d)), runnel::timeout(d));
          }
        });
      }
      wg.wait();
      EXPECT_EQ(test::timers_in_heaps(), 0u);
    });
  }
}

TEST(after, fires_when_the_p_whose_heap_it_was_in_is_taken_away) {
  run({.max_procs = 8}, [] {
    std::atomic<int> received{0}, early{0};
    const int n = test::alive(400);
    for (int i = 0; i < n; ++i) {
      runnel::go([&, i] {
        auto begin = test::clock::now();
        auto d = 5ms + 10us * i;
        after(d).recv();
        early += test::clock::now() < begin + d;
        ++received;
      });
      if (i % 16 == 0) runnel::sleep(50us);
    }
    for (int procs : {1, 3, 8, 2, 1, 5, 1}) {
      runnel::max_procs(procs);
      runnel::sleep(500us);
    }
    EXPECT_TRUE(test::eventually([&] { return received == n; }));
    EXPECT_EQ(early, 0);
    EXPECT_EQ(test::timers_in_heaps(), 0u);
  });
}

TEST(after, may_be_left_by_those_who_wait_while_ps_come_and_go) {
  run({.max_procs = 4}, [] {
    std::atomic<bool> stop{false};
    runnel::wait_group wg;
    for (int k = 0; k < 8; ++k) {
      wg.go([&, k] {
        timer t(1h);
        for (int i = 0; !stop; ++i) {
          EXPECT_EQ(select(recv(t.c()), runnel::timeout(1us * ((i + k) % 40))), 1u);
          if (i % 8 == 0) t.reset(1h);
        }
      });
    }
    for (int i = 0; i < test::scaled(100); ++i) {
      runnel::max_procs(1 + i % 5);
      runnel::sleep(100us);
    }
    stop = true;
    wg.wait();
    EXPECT_EQ(test::timers_in_heaps(), 0u);
  });
}

TEST(after, may_be_waited_for_by_goroutines_of_a_run_that_ends) {
  for (int round = 0; round < test::scaled(50); ++round) {
    run({.max_procs = 1 + round % 3}, [round] {
      for (int i = 0; i < 10; ++i) {
        runnel::go([=] { after(10us * i).recv(); });
        runnel::go([=] { select(recv(after(1h)), recv(after(10us * i))); });
      }
      runnel::sleep(10us * (round % 12));
    });
    EXPECT_EQ(test::timers_in_heaps(), 0u);
  }
}

// A timer that several runs share, for which a goroutine of the first still stands in the queue.
class timer_of_an_ended_run : public testing::Test {
 protected:
  timer_of_an_ended_run() {
    run({.max_procs = 1}, [this] {
      runnel::go([this] { c.recv(); });
      runnel::sleep(1ms);
      EXPECT_EQ(test::timers_in_heaps(), 1u);
    });
    EXPECT_EQ(test::timers_in_heaps(), 0u);
  }

  timer t{60ms};
  recv_chan<time_point> c = t.c();
};

TEST_F(timer_of_an_ended_run, is_received_in_the_next) {
  run([this] { EXPECT_TRUE(c.recv()); });
}

TEST_F(timer_of_an_ended_run, is_received_in_the_next_by_one_who_only_looks) {
  run([this] {
    runnel::sleep(61ms);
    EXPECT_TRUE(c.try_recv());
  });
}

TEST_F(timer_of_an_ended_run, is_received_in_the_next_by_a_select_that_does_not_wait) {
  run([this] {
    runnel::sleep(61ms);
    EXPECT_EQ(select(recv(c), runnel::otherwise), 0u);
  });
}

TEST_F(timer_of_an_ended_run, is_received_without_a_run) {
  EXPECT_TRUE(test::eventually([this] { return c.try_recv().has_value(); }));
}

TEST_F(timer_of_an_ended_run, is_stopped_and_reset_in_the_next) {
  run([this] {
    EXPECT_TRUE(t.stop());
    EXPECT_FALSE(t.stop());
    EXPECT_FALSE(t.reset(1ms));
    EXPECT_TRUE(c.recv());
  });
}

TEST_F(timer_of_an_ended_run, is_not_in_a_heap_when_it_is_reset_and_nobody_waits) {
  run([this] {
    t.reset(1h);
    EXPECT_EQ(test::timers_in_heaps(), 0u);
    t.stop();
  });
}

TEST_F(timer_of_an_ended_run, leaves_the_heap_with_the_one_who_waits) {
  run([this] {
    t.reset(1h);
    EXPECT_FALSE(c.recv_for(1ms));
    EXPECT_EQ(test::timers_in_heaps(), 0u);
    t.stop();
  });
}

}  // namespace
