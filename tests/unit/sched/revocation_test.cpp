// Nothing blocks the others: a P is taken from goroutines that compute or block, and from nobody else.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <string>
#include <vector>

#include "runnel/runnel.h"
#include "support/death.h"
#include "support/scale.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::run;

struct pipe_ends {
  int ends[2];
  pipe_ends() {
    if (pipe(ends) != 0) std::abort();
  }
  ~pipe_ends() {
    close(ends[0]);
    close(ends[1]);
  }
  bool write_byte(char c) const { return write(ends[1], &c, 1) == 1; }
  int read_byte() const {
    char c;
    return read(ends[0], &c, 1) == 1 ? c : -1;
  }
};

template <class F>
std::chrono::nanoseconds time_of(F f) {
  auto begin = test::clock::now();
  f();
  return test::clock::now() - begin;
}

TEST(revocation, a_loop_without_calls_does_not_stop_the_others) {
  run({.max_procs = 1}, [] {
    std::atomic<bool> looping{false}, stop{false};
    runnel::wait_group wg;
    wg.go([&] {
      looping = true;
      test::compute_until([&] { return stop.load(); });
    });
    while (!looping) runnel::yield();
    auto taken = time_of([&] {
      for (int i = 0; i < 100; ++i) runnel::yield();
    });
    EXPECT_FALSE(stop);
    EXPECT_LT(taken, std::chrono::milliseconds(test::patience(200)));
    stop = true;
    wg.wait();
  });
}

TEST(revocation, many_loops_without_calls_do_not_stop_the_others) {
  run({.max_procs = 1}, [] {
    std::atomic<bool> stop{false};
    runnel::wait_group wg;
    for (int i = 0; i < 8; ++i) wg.go([&] { test::compute_until([&] { return stop.load(); }); });
    auto taken = time_of([] {
      for (int i = 0; i < 3; ++i) runnel::yield();
    });
    EXPECT_LT(taken, std::chrono::milliseconds(test::patience(2000)));
    stop = true;
    wg.wait();
  });
}

TEST(revocation, the_whole_machine_busy_with_loops_leaves_time_for_others) {
  run({.max_procs = 2}, [] {
    std::atomic<bool> stop{false};
    runnel::wait_group wg;
    for (int i = 0; i < 2; ++i) wg.go([&] { test::compute_until([&] { return stop.load(); }); });
    for (int i = 0; i < 20; ++i) runnel::sleep(1ms);
    EXPECT_FALSE(stop);
    stop = true;
    wg.wait();
  });
}

TEST(revocation, a_goroutine_that_loops_with_calls_is_asked_to_yield) {
  run({.max_procs = 1}, [] {
    std::atomic<bool> stop{false};
    std::atomic<int> looping{0};
    runnel::wait_group wg;
    wg.go([&] {
      // Uncontended: these never park.
      for (looping = 1; !stop;) runnel::max_procs();
    });
    wg.go([&] {
      while (!stop) runnel::go([] {});
    });
    while (looping == 0) runnel::yield();
    auto taken = time_of([] { runnel::yield(); });
    EXPECT_LT(taken, std::chrono::milliseconds(test::patience(300)));
    stop = true;
    wg.wait();
  });
}

TEST(revocation, an_unannounced_read_lets_the_writer_run_on_the_only_p) {
  run({.max_procs = 1}, [] {
    pipe_ends p;
    int got = 0;
    runnel::wait_group wg;
    auto taken = time_of([&] {
      wg.go([&] { EXPECT_TRUE(p.write_byte('x')); });
      got = p.read_byte();  // the writer has not begun yet
    });
    EXPECT_EQ(got, 'x');
    EXPECT_LT(taken, std::chrono::milliseconds(test::patience(100)));
    wg.wait();
  });
}

TEST(revocation, two_goroutines_may_play_ping_pong_by_unannounced_reads_on_one_p) {
  run({.max_procs = 1}, [] {
    pipe_ends ping, pong;
    int answers = 0;
    runnel::wait_group wg;
    wg.go([&] {
      for (int i = 0; i < 20; ++i) pong.write_byte(static_cast<char>(ping.read_byte() + 1));
    });
    for (int i = 0; i < 20; ++i) {
      ping.write_byte(static_cast<char>(i));
      answers += pong.read_byte() == i + 1;
    }
    wg.wait();
    EXPECT_EQ(answers, 20);
  });
}

// The first costs a millisecond, like one that is alone; not each of them.
TEST(revocation, a_crowd_of_unannounced_calls_does_not_cost_a_millisecond_each) {
  constexpr int crowd = 60;
  auto time_behind_a_crowd = [] {
    return run({.max_procs = 1}, [] {
      pipe_ends p;
      runnel::wait_group wg;
      for (int i = 0; i < crowd; ++i) wg.go([&] { EXPECT_EQ(p.read_byte(), 'x'); });
      std::chrono::nanoseconds taken{};
      auto begin = test::clock::now();
      wg.go([&] { taken = test::clock::now() - begin; });
      wg.go([] {});     // the newest goes first
      runnel::yield();  // behind them all
      for (int i = 0; i < crowd; ++i) EXPECT_TRUE(p.write_byte('x'));
      wg.wait();
      return taken;
    });
  };
  // What else the machine does makes it longer.
  EXPECT_TRUE(test::eventually(
      [&] { return time_behind_a_crowd() < std::chrono::milliseconds(crowd / 2); }));
}

TEST(revocation, whose_timer_is_due_goes_before_those_who_wait_behind_a_blocking_call) {
  run({.max_procs = 1}, [] {
    constexpr int crowd = 200;
    pipe_ends p;
    std::atomic<int> blocked{0};
    int blocked_before = -1;
    runnel::wait_group wg;
    std::atomic<bool> asleep{false};
    auto due = test::clock::now() + 2ms;
    wg.go([&] {
      asleep = true;
      runnel::sleep_until(due);
      blocked_before = blocked;
    });
    while (!asleep) runnel::yield();
    for (int i = 0; i < crowd; ++i) {
      wg.go([&] {
        // The first keeps the P until the timer is due.
        test::compute_until([&] { return test::clock::now() > due; });
        ++blocked;
        EXPECT_EQ(runnel::blocking([&] { return p.read_byte(); }), 'x');
      });
    }
    wg.go([&] {
      for (int i = 0; i < crowd; ++i) EXPECT_TRUE(p.write_byte('x'));
    });
    wg.wait();
    EXPECT_EQ(blocked_before, 1);
  });
}

TEST(revocation, an_announced_call_hands_the_p_on_at_once) {
  run({.max_procs = 1}, [] {
    // The monitor would need a millisecond to see each of these; handing on takes microseconds.
    const int rounds = 200;
    pipe_ends p;
    std::vector<std::chrono::nanoseconds> times;
    for (int i = 0; i < rounds; ++i) {
      runnel::wait_group wg;
      wg.go([&] { p.write_byte('x'); });
      times.push_back(
          time_of([&] { EXPECT_EQ(runnel::blocking([&] { return p.read_byte(); }), 'x'); }));
      wg.wait();
    }
    std::nth_element(times.begin(), times.begin() + rounds / 2, times.end());
    EXPECT_LT(times[rounds / 2], std::chrono::microseconds(test::sanitized ? 20'000 : 900));
  });
}

TEST(revocation, many_goroutines_may_be_in_blocking_calls_at_once) {
  run({.max_procs = 2}, [] {
    constexpr int n = 100;
    std::vector<pipe_ends> pipes(n);
    std::atomic<int> inside{0}, sum{0};
    runnel::wait_group wg;
    for (int i = 0; i < n; ++i) {
      wg.go([&, i] {
        sum += runnel::blocking([&, i] {
          ++inside;
          return pipes[i].read_byte();
        });
      });
    }
    EXPECT_TRUE(test::eventually([&] { return inside == n; }));
    for (auto& p : pipes) p.write_byte(1);
    wg.wait();
    EXPECT_EQ(sum, n);
  });
}

TEST(revocation, blocking_returns_the_result_and_passes_references_on) {
  run([] {
    int object = 0;
    EXPECT_EQ(runnel::blocking([] { return 5; }), 5);
    int& same = runnel::blocking([&]() -> int& { return object; });
    EXPECT_EQ(&same, &object);
    auto p = runnel::blocking([] { return std::make_unique<int>(3); });
    EXPECT_EQ(*p, 3);
  });
  EXPECT_EQ(runnel::blocking([] { return 6; }), 6);  // on a plain thread
}

TEST(revocation, an_exception_leaves_blocking_and_the_goroutine_has_a_p_again) {
  run({.max_procs = 1}, [] {
    std::atomic<int> done{0};
    runnel::wait_group wg;
    for (int i = 0; i < 20; ++i) {
      wg.go([&] {
        try {
          runnel::blocking([] {
            test::compute_for(50us);
            throw std::runtime_error("x");
          });
        } catch (const std::runtime_error&) {
          runnel::yield();
          ++done;
        }
      });
    }
    wg.wait();
    EXPECT_EQ(done, 20);
  });
}

TEST(revocation, blocking_may_be_nested) {
  run({.max_procs = 1}, [] {
    int result = runnel::blocking([] {
      int a = runnel::blocking([] { return 1; });
      runnel::yield();
      return a + runnel::blocking([] { return 2; });
    });
    EXPECT_EQ(result, 3);
    runnel::sleep(1ms);
  });
}

TEST(revocation, blocking_leaves_errno_as_the_function_set_it) {
  run({.max_procs = 2}, [] {
    std::atomic<int> wrong{0};
    runnel::wait_group wg;
    for (int i = 1; i <= 40; ++i) {
      wg.go([&, i] {
        for (int k = 0; k < test::scaled(50); ++k) {
          runnel::blocking([i] {
            test::compute_for(5us);
            runnel::errno_ref() = i;
          });
          if (runnel::errno_ref() != i) ++wrong;
        }
      });
    }
    wg.wait();
    EXPECT_EQ(wrong, 0);
  });
}

// Everything a goroutine may do, after it has lost its P without knowing.
void use_everything() {
  runnel::mutex mu;
  std::atomic<int> begun{0};
  runnel::wait_group wg;
  wg.go([&] {
    std::lock_guard hold(mu);
    ++begun;
  });
  {
    std::lock_guard hold(mu);
    runnel::yield();
  }
  runnel::sleep(100us);
  wg.wait();
  EXPECT_EQ(begun, 1);
}

TEST(revocation, a_goroutine_that_has_lost_its_p_can_do_everything) {
  using operation = void (*)();
  const operation first_call[] = {
      [] { runnel::yield(); },
      [] { runnel::go([] {}); },
      [] { runnel::sleep(1us); },
      [] { EXPECT_FALSE(runnel::wait_group().wait_for(0s) && false); },
      [] { runnel::blocking([] {}); },
      [] { runnel::max_procs(1); },
      [] { runnel::lock_os_thread(), runnel::unlock_os_thread(); },
      [] {
        runnel::mutex mu;
        mu.lock();
        runnel::wait_group wg;
        wg.go([&] { std::lock_guard hold(mu); });
        runnel::yield();
        mu.unlock();
        wg.wait();
      },
  };
  run({.max_procs = 1}, [&] {
    for (operation f : first_call) {
      std::atomic<bool> other_ran{false};
      runnel::wait_group wg;
      wg.go([&] { other_ran = true; });
      // While this holds the only P the other cannot have run.
      EXPECT_TRUE(test::compute_until([&] { return other_ran.load(); }));
      f();
      use_everything();
      wg.wait();
    }
  });
}

TEST(revocation, is_repeated_for_as_long_as_goroutines_do_not_hear) {
  run({.max_procs = 1}, [] {
    std::atomic<int> turns{0};
    runnel::wait_group wg;
    for (int i = 0; i < 4; ++i) {
      wg.go([&] {
        for (int k = 0; k < 5; ++k) {
          int before = turns;
          ++turns;
          // Only if another runs meanwhile does this end.
          test::compute_until([&] { return turns > before + 1 || turns == 20; }, 2s);
          runnel::yield();
        }
      });
    }
    wg.wait();
    EXPECT_EQ(turns, 20);
  });
}

TEST(revocation, a_p_is_not_handed_on_when_nothing_waits_for_it) {
  run({.max_procs = 1}, [] {
    runnel::sleep(1ms);
    int before = test::thread_count();
    test::compute_for(100ms);
    EXPECT_EQ(test::thread_count(), before);
  });
}

TEST(revocation, a_thread_that_sleeps_in_the_kernel_keeps_its_p_when_nothing_waits_for_it) {
  run({.max_procs = 1}, [] {
    runnel::sleep(1ms);
    int before = test::thread_count();
    timespec ts{0, 50'000'000};
    nanosleep(&ts, nullptr);
    EXPECT_EQ(test::thread_count(), before);
  });
}

TEST(revocation, interrupts_no_system_call) {
  run({.max_procs = 1}, [] {
    std::atomic<bool> stop{false};
    runnel::wait_group wg;
    wg.go([&] {
      while (!stop) runnel::yield();
    });
    timespec ts{0, 50'000'000};
    int result = nanosleep(&ts, nullptr);  // loses the P
    EXPECT_EQ(result, 0);
    stop = true;
    wg.wait();
  });
}

using revocation_without_membarrier = test::in_own_process;

TEST_F(revocation_without_membarrier, works_too) {
  with_environment("RUNNEL_MEMBARRIER", "off");
  EXPECT_EXIT(
      {
        bool ok = run({.max_procs = 1}, [] {
          std::atomic<bool> looping{false}, stop{false};
          runnel::wait_group wg;
          wg.go([&] {
            looping = true;
            test::compute_until([&] { return stop.load(); });
          });
          while (!looping) runnel::yield();
          pipe_ends p;
          wg.go([&] { p.write_byte('x'); });
          bool read_ok = p.read_byte() == 'x';
          read_ok &= runnel::blocking([] { return true; });
          stop = true;
          wg.wait();
          use_everything();
          return read_ok;
        });
        int sum = run({.max_procs = 8}, [] {
          std::atomic<int> total{0};
          runnel::wait_group wg;
          for (int i = 0; i < 1000; ++i) {
            wg.go([&] {
              runnel::yield();
              ++total;
            });
          }
          for (int n = 1; n <= 8; ++n) runnel::max_procs(n);
          wg.wait();
          return total.load();
        });
        test::finish(ok && sum == 1000);
      },
      test::succeeds, "");
  unsetenv("RUNNEL_MEMBARRIER");
}

}  // namespace
