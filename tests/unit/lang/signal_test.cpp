// Signals on channels.

#include "runnel/signal.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "runnel/runnel.h"
#include "support/scale.h"
#include "support/signals.h"

namespace {

using namespace std::chrono_literals;
using runnel::make_chan;
using runnel::run;
using test::nothing_in;
using test::passed_on;
using test::received;
namespace signal = runnel::signal;

class signals : public test::with_signals {};

TEST_F(signals, reach_a_goroutine) {
  if (test::has_tsan) GTEST_SKIP() << "it calls handlers late, and not while a thread sleeps";
  succeeds([] {
    return run([] {
      auto c = make_chan<int>(1);
      signal::notify(c, {SIGUSR1});
      kill(getpid(), SIGUSR1);
      return received(c) == SIGUSR1;
    });
  });
}

TEST_F(signals, reach_all_channels_that_want_them_and_no_others) {
  succeeds([] {
    return run([] {
      auto a = make_chan<int>(4), b = make_chan<int>(4), other = make_chan<int>(4);
      signal::notify(a, {SIGUSR1, SIGUSR2});
      signal::notify(b, {SIGUSR1});
      signal::notify(other, {SIGHUP});
      raise(SIGUSR1);
      bool both = received(a) == SIGUSR1 && received(b) == SIGUSR1;
      raise(SIGUSR2);
      bool one = received(a) == SIGUSR2;
      passed_on();
      return both && one && nothing_in(b) && nothing_in(other);
    });
  });
}

TEST_F(signals, are_added_to_a_channel_that_has_some) {
  succeeds([] {
    return run([] {
      auto c = make_chan<int>(4);
      signal::notify(c, {SIGUSR1});
      signal::notify(c, {SIGUSR2});
      signal::notify(c, {SIGUSR1});
      raise(SIGUSR1);
      bool first = received(c) == SIGUSR1;
      raise(SIGUSR2);
      bool second = received(c) == SIGUSR2;
      passed_on();
      return first && second && nothing_in(c);
    });
  });
}

TEST_F(signals, come_all_if_none_is_named) {
  if (test::has_tsan) GTEST_SKIP() << "it calls handlers late, and not while a thread sleeps";
  succeeds([] {
    return run([] {
      auto c = make_chan<int>(64);
      signal::notify(c);
      for (int s : {SIGHUP, SIGQUIT, SIGUSR1, SIGPIPE, SIGTERM, SIGCHLD, SIGURG, SIGWINCH, SIGRTMIN,
                    SIGRTMAX, SIGSEGV, SIGFPE}) {
        kill(getpid(), s);
        if (int got = received(c); got != s) {
          std::fprintf(stderr, "%d instead of %d\n", got, s);
          return false;
        }
      }
      return true;
    });
  });
}

TEST_F(signals, wait_for_nobody) {
  succeeds([] {
    return run([] {
      auto full = make_chan<int>(1), unbuffered = make_chan<int>();
      signal::notify(full, {SIGUSR1});
      signal::notify(unbuffered, {SIGUSR1});
      for (int i = 0; i < 100; ++i) {
        raise(SIGUSR1);
        if (i % 10 == 0) passed_on();
      }
      passed_on();
      return full.len() == 1;
    });
  });
}

TEST_F(signals, reach_plain_threads_without_any_run) {
  succeeds([] {
    auto c = make_chan<int>(1);
    signal::notify(c, {SIGUSR1});
    raise(SIGUSR1);
    if (received(c) != SIGUSR1) return false;
    signal::stop(c);
    return now(SIGUSR1).sa_handler == SIG_DFL;
  });
}

TEST_F(signals, are_listened_for_before_between_and_across_runs) {
  succeeds([] {
    auto c = make_chan<int>(1);
    signal::notify(c, {SIGUSR1});
    raise(SIGUSR1);
    for (int i = 0; i < 3; ++i) {
      if (!run([&] { return received(c) == SIGUSR1; })) return false;
      run([&] {
        runnel::go([&] { c.recv(); });  // frozen with this run
        runnel::yield();
      });
      raise(SIGUSR1);
    }
    return received(c) == SIGUSR1;
  });
}

TEST_F(signals, land_on_any_thread) {
  succeeds([] {
    return run([] {
      auto c = make_chan<int>(1);
      signal::notify(c, {SIGUSR1});
      std::atomic<bool> over{false};
      std::thread busy([&] {
        while (!over) std::this_thread::yield();
      });
      pthread_kill(busy.native_handle(), SIGUSR1);
      bool good = received(c) == SIGUSR1;
      over = true;
      busy.join();
      return good;
    });
  });
}

TEST_F(signals, stopped_do_what_they_did_before) {
  EXPECT_EXIT(run([] {
                auto a = make_chan<int>(1), b = make_chan<int>(1);
                signal::notify(a, {SIGTERM});
                signal::notify(b, {SIGTERM});
                signal::stop(a);
                raise(SIGTERM);
                if (received(b) != SIGTERM || !nothing_in(a)) test::finish(false);
                signal::stop(b);
                raise(SIGTERM);
                test::finish(false);
              }),
              testing::KilledBySignal(SIGTERM), "");
}

TEST_F(signals, that_came_before_stop_have_been_sent_when_it_returns) {
  succeeds([] {
    return run([] {
      for (int i = 0; i < test::scaled(2000); ++i) {
        auto c = make_chan<int>(1);
        signal::notify(c, {SIGUSR1});
        raise(SIGUSR1);
        signal::stop(c);
        if (c.len() != 1) return false;
      }
      return true;
    });
  });
}

TEST_F(signals, are_not_sent_once_stop_has_returned) {
  succeeds([] {
    return run([] {
      // Somebody listens throughout: the signal is harmless.
      auto always = make_chan<int>(1);
      signal::notify(always, {SIGUSR1});
      std::atomic<bool> over{false};
      std::thread rain([&] {
        while (!over) kill(getpid(), SIGUSR1);
      });
      bool good = true;
      for (int i = 0; i < test::scaled(500); ++i) {
        auto c = make_chan<int>(1000);
        signal::notify(c, {SIGUSR1});
        if (received(c) != SIGUSR1) good = false;
        signal::stop(c);
        std::size_t left = c.len();
        while (always.try_recv()) runnel::yield();
        always.recv();  // others go on
        if (c.len() != left) good = false;
      }
      over = true;
      rain.join();
      return good;
    });
  });
}

TEST_F(signals, ignored_are_lost_until_reset) {
  succeeds([] {
    install(SIGUSR1, &handler);
    auto c = make_chan<int>(4);
    signal::notify(c, {SIGUSR1, SIGUSR2});
    signal::ignore({SIGUSR1, SIGSEGV});
    raise(SIGUSR1);
    kill(getpid(), SIGSEGV);
    passed_on();
    bool good = signal::ignored(SIGUSR1) && signal::ignored(SIGSEGV) && !signal::ignored(SIGUSR2) &&
                nothing_in(c) && handled == 0;
    signal::reset({SIGUSR1});
    raise(SIGUSR1);
    good = good && !signal::ignored(SIGUSR1) && handled == 1 && nothing_in(c);
    raise(SIGUSR2);
    return good && received(c) == SIGUSR2;
  });
}

TEST_F(signals, reset_reach_nobody) {
  succeeds([] {
    auto c = make_chan<int>(4);
    install(SIGUSR1, &handler);
    signal::notify(c, {SIGUSR1});
    signal::reset();
    raise(SIGUSR1);
    passed_on();
    bool good = nothing_in(c) && handled == 1;
    signal::notify(c, {SIGUSR1});
    raise(SIGUSR1);
    return good && received(c) == SIGUSR1;
  });
}

TEST_F(signals, awaited_by_all_are_no_deadlock) {
  if (test::has_tsan) GTEST_SKIP() << "it calls handlers late, and not while a thread sleeps";
  succeeds([] {
    auto c = make_chan<int>(1);
    signal::notify(c, {SIGALRM});
    alarm(1);
    return run([&] { return c.recv() == SIGALRM; });
  });
}

TEST_F(signals, that_nobody_awaits_any_more_leave_a_deadlock) {
  // A sanitizer has a thread of its own.
  EXPECT_EXIT(run({.deadlock = runnel::deadlock_check::on},
                  [] {
                    auto c = make_chan<int>(1);
                    signal::notify(c, {SIGUSR1});
                    signal::stop(c);
                    c.recv();
                  }),
              test::exits_with_2, "all goroutines are asleep - deadlock!");
}

TEST_F(signals, cannot_go_to_a_nil_channel) {
  EXPECT_THROW(signal::notify(runnel::send_chan<int>(), {SIGUSR1}), runnel::runtime_error);
}

TEST_F(signals, that_do_not_exist_or_cannot_be_caught_are_left_out) {
  succeeds([] {
    auto c = make_chan<int>(1);
    signal::notify(c, {0, -1, 65, 1000, SIGKILL, SIGSTOP, 32, 33, SIGUSR1});
    raise(SIGUSR1);
    return received(c) == SIGUSR1;
  });
}

TEST_F(signals, have_names) {
  EXPECT_EQ(signal::name(SIGINT), "interrupt");
  EXPECT_EQ(signal::name(SIGTERM), "terminated");
  EXPECT_EQ(signal::name(40), "signal 40");
}

}  // namespace
