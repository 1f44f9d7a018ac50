// Deadlock: said when nothing can ever run again, and never before. A false alarm would end this program.

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "runnel/runnel.h"
#include "sched/runtime.h"
#include "support/death.h"
#include "support/scale.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::deadlock_check;
using runnel::run;

// All this time nothing runs; it is looked at after 50 ms.
constexpr auto quiet = 300ms;
constexpr const char* alarm_text = "all goroutines are asleep - deadlock!";

int at_large() { return runnel::sched::rt().at_large; }

// A system call that takes its time, and that the runtime knows nothing of.
void stay_in_the_kernel(std::chrono::milliseconds time) {
  poll(nullptr, 0, static_cast<int>(time.count()));
}

// --- no false alarm ---

class no_alarm : public testing::TestWithParam<int> {
 protected:
  template <class F>
  void run_here(F f) {
    run({.max_procs = GetParam()}, f);
    EXPECT_EQ(at_large(), 0);
  }
};
INSTANTIATE_TEST_SUITE_P(procs, no_alarm, testing::Values(1, 2, 8));

TEST_P(no_alarm, while_a_goroutine_sleeps) {
  run_here([] {
    auto c = runnel::make_chan<int>();
    runnel::go([c] {
      runnel::sleep(quiet);
      c.send(1);
    });
    EXPECT_EQ(c.recv(), 1);
  });
}

TEST_P(no_alarm, while_a_timer_is_waited_for) {
  run_here([] { EXPECT_TRUE(runnel::after(quiet).recv()); });
}

TEST_P(no_alarm, while_a_ticker_is_waited_for) {
  run_here([] {
    runnel::ticker every(quiet);
    EXPECT_TRUE(every.c().recv());
    EXPECT_TRUE(every.c().recv());
  });
}

TEST_P(no_alarm, while_a_function_is_to_be_called_later) {
  run_here([] {
    auto c = runnel::make_chan<int>();
    runnel::after_func(quiet, [c] { c.send(1); });
    EXPECT_EQ(c.recv(), 1);
  });
}

TEST_P(no_alarm, while_a_lock_is_waited_for_with_a_limit) {
  run_here([] {
    runnel::wait_group wg;
    wg.add(1);
    EXPECT_FALSE(wg.wait_for(quiet));
  });
}

TEST_P(no_alarm, while_a_call_blocks) {
  run_here([] {
    auto c = runnel::make_chan<int>();
    runnel::go([c] {
      runnel::blocking([] { stay_in_the_kernel(quiet); });
      c.send(1);
    });
    EXPECT_EQ(c.recv(), 1);
  });
}

// Others wait for the P meanwhile, or it would not be taken.
TEST_P(no_alarm, while_a_call_blocks_unannounced) {
  run_here([] {
    auto c = runnel::make_chan<int>();
    for (int i = 0; i < 8; ++i) {
      runnel::go([c] {
        stay_in_the_kernel(quiet);
        c.send(1);
      });
    }
    for (int i = 0; i < 8; ++i) EXPECT_EQ(c.recv(), 1);
  });
}

TEST_P(no_alarm, while_a_goroutine_computes_without_a_p) {
  run_here([] {
    auto c = runnel::make_chan<int>();
    for (int i = 0; i < 3; ++i) {
      runnel::go([c] {
        test::compute_for(quiet);
        c.send(1);
      });
    }
    for (int i = 0; i < 3; ++i) EXPECT_EQ(c.recv(), 1);
  });
}

TEST_P(no_alarm, while_locked_goroutines_talk_slowly) {
  run_here([] {
    auto there = runnel::make_chan<int>(), back = runnel::make_chan<int>();
    runnel::go([=] {
      runnel::lock_os_thread();
      while (auto got = there.recv()) {
        runnel::sleep(quiet / 4);
        back.send(*got);
      }
    });
    runnel::lock_os_thread();
    for (int i = 0; i < 4; ++i) {
      there.send(i);
      EXPECT_EQ(back.recv(), i);
    }
    runnel::unlock_os_thread();
  });
}

TEST_P(no_alarm, after_the_number_of_ps_has_changed) {
  run_here([] {
    for (int n : {1, 8, 2, 5, 3}) {
      runnel::max_procs(n);
      runnel::sleep(quiet / 4);
    }
    EXPECT_TRUE(test::eventually([] { return at_large() == 0; }));
  });
}

TEST_P(no_alarm, in_a_run_after_others_that_left_goroutines_behind) {
  for (int i = 0; i < 3; ++i) {
    run_here([] {
      runnel::go([] { runnel::select(); });
      runnel::go([c = runnel::make_chan<int>()] { (void)c.recv(); });
      runnel::sleep(quiet / 3);
    });
  }
}

TEST(no_alarm_for_threads, while_one_that_the_runtime_does_not_know_is_there) {
  run([] {
    auto c = runnel::make_chan<int>();
    std::jthread feeds([c] {
      stay_in_the_kernel(quiet);
      c.send(1);
    });
    EXPECT_EQ(c.recv(), 1);
  });
}

TEST(no_alarm_for_threads, while_one_waits_for_something_of_ours) {
  auto c = runnel::make_chan<int>(), back = runnel::make_chan<int>();
  std::jthread answers([=] {
    while (auto got = c.recv()) {
      runnel::sleep(quiet);
      back.send(*got);
    }
  });
  run({.deadlock = deadlock_check::on}, [=] {
    c.send(1);
    EXPECT_EQ(back.recv(), 1);
    c.close();
  });
}

// --- the alarm ---

class deadlock : public test::in_own_process {
 protected:
  void SetUp() override {
    if (test::has_tsan) GTEST_SKIP() << "ThreadSanitizer has a thread of its own";
  }
};

// What main waits for last in these tests; nobody sends.
void wait_for_ever() { (void)runnel::make_chan<int>().recv(); }

// A thread of somebody else's that does nothing.
void start_a_bystander() {
  std::thread([] {
    for (;;) pause();
  }).detach();
}

TEST_F(deadlock, is_said_where_everybody_waits) {
  EXPECT_EXIT(run([] { wait_for_ever(); }), test::exits_with_2, alarm_text);
}

TEST_F(deadlock, is_said_of_locked_goroutines) {
  EXPECT_EXIT(run({.max_procs = 2},
                  [] {
                    for (int i = 0; i < 3; ++i) {
                      runnel::go([] {
                        runnel::lock_os_thread();
                        wait_for_ever();
                      });
                    }
                    runnel::lock_os_thread();
                    wait_for_ever();
                  }),
              test::exits_with_2, alarm_text);
}

TEST_F(deadlock, is_said_when_those_who_had_lost_their_p_wait_too) {
  EXPECT_EXIT(run({.max_procs = 2},
                  [] {
                    for (int i = 0; i < 6; ++i) {
                      runnel::go([i] {
                        for (int round = 0; round < 3; ++round) {
                          if (i % 3 == 0) test::compute_for(20ms);
                          if (i % 3 == 1) stay_in_the_kernel(20ms);
                          if (i % 3 == 2) runnel::blocking([] { stay_in_the_kernel(20ms); });
                          runnel::yield();
                        }
                        wait_for_ever();
                      });
                    }
                    wait_for_ever();
                  }),
              test::exits_with_2, alarm_text);
}

TEST_F(deadlock, is_said_after_many_changes_of_the_number_of_ps) {
  EXPECT_EXIT(run([] {
                std::atomic<bool> stop{false};
                runnel::wait_group wg;
                for (int i = 0; i < 3; ++i) {
                  wg.go([&] { test::compute_until([&] { return stop.load(); }); });
                }
                for (int i = 0; i < 300; ++i) runnel::max_procs(1 + i % 7);
                stop = true;
                wg.wait();
                wait_for_ever();
              }),
              test::exits_with_2, alarm_text);
}

// That goroutine lost its P when its run ended, and never comes back to say so.
TEST_F(deadlock, is_said_although_a_goroutine_of_an_earlier_run_computes_for_ever) {
  EXPECT_EXIT(
      {
        static std::atomic<bool> computes{false};
        run({.max_procs = 2}, [] {
          runnel::go([] {
            computes = true;
            for (;;) {
              computes.load();
            }
          });
          while (!computes) runnel::yield();
        });
        run({.max_procs = 2}, [] { wait_for_ever(); });
      },
      test::exits_with_2, alarm_text);
}

TEST_F(deadlock, is_said_when_the_last_thread_of_others_has_ended) {
  EXPECT_EXIT(run([] {
                std::thread([] { stay_in_the_kernel(quiet); }).detach();
                wait_for_ever();
              }),
              test::exits_with_2, alarm_text);
}

TEST_F(deadlock, is_said_when_that_thread_has_fed_somebody_before) {
  EXPECT_EXIT(run([] {
                auto c = runnel::make_chan<int>();
                std::thread([c] {
                  stay_in_the_kernel(quiet);
                  c.send(1);
                }).detach();
                (void)c.recv();
                wait_for_ever();
              }),
              test::exits_with_2, alarm_text);
}

TEST_F(deadlock, is_said_when_a_thread_has_waited_in_vain) {
  EXPECT_EXIT(run({.deadlock = deadlock_check::on},
                  [] {
                    start_a_bystander();
                    std::thread([] {
                      runnel::wait_group wg;
                      wg.add(1);
                      wg.wait_for(quiet);
                    }).detach();
                    wait_for_ever();
                  }),
              test::exits_with_2, alarm_text);
}

TEST_F(deadlock, is_said_in_spite_of_bystanders_where_the_program_says_so) {
  EXPECT_EXIT(run({.deadlock = deadlock_check::on},
                  [] {
                    start_a_bystander();
                    wait_for_ever();
                  }),
              test::exits_with_2, alarm_text);
}

// Ends a child in which nothing happens any more.
void succeed_in_a_second() {
  signal(SIGALRM, [](int) { _exit(0); });
  alarm(1);
}

TEST_F(deadlock, is_not_said_where_the_program_does_not_want_it) {
  EXPECT_EXIT(
      {
        succeed_in_a_second();
        run({.deadlock = deadlock_check::off}, [] { wait_for_ever(); });
      },
      test::succeeds, "");
}

TEST_F(deadlock, is_not_said_where_there_are_bystanders) {
  EXPECT_EXIT(
      {
        succeed_in_a_second();
        run([] {
          start_a_bystander();
          wait_for_ever();
        });
      },
      test::succeeds, "");
}

}  // namespace
