// Signals on channels. What a signal does to a process is the process's: each test has one of its own.

#include "runnel/signal.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "runnel/runnel.h"
#include "support/death.h"
#include "support/scale.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::make_chan;
using runnel::run;
namespace signal = runnel::signal;

int received(const runnel::chan<int>& from) {
  auto got = from.recv_for(10s);
  return got ? *got : -1;
}
bool nothing_in(const runnel::chan<int>& c) { return c.len() == 0; }

// After it, whatever was raised before has been passed on.
void passed_on() {
  auto c = make_chan<int>(1);
  signal::notify(c, {SIGRTMAX});
  raise(SIGRTMAX);
  EXPECT_EQ(received(c), SIGRTMAX);
  signal::stop(c);
}

class signals : public test::in_own_process {
 protected:
  static std::atomic<int> handled;
  static std::atomic<int> handled_with_info;
  static void handler(int) { ++handled; }
  static void handler_with_info(int s, siginfo_t* info, void*) {
    if (info->si_signo == s) ++handled_with_info;
  }
  static void install(int s, void (*f)(int), int flags = 0) {
    struct sigaction action{};
    action.sa_handler = f;
    action.sa_flags = flags;
    sigaction(s, &action, nullptr);
  }
  static struct sigaction now(int s) {
    struct sigaction action{};
    sigaction(s, nullptr, &action);
    return action;
  }
  // Runs f in a process of its own, in which it must be true.
  template <class F>
  static void succeeds(F f) {
    EXPECT_EXIT(test::finish(f() && !testing::Test::HasFailure()), test::succeeds, "");
  }
};
std::atomic<int> signals::handled{0};
std::atomic<int> signals::handled_with_info{0};

TEST_F(signals, reach_a_goroutine) {
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

TEST_F(signals, go_also_to_the_handler_that_was_there_before) {
  succeeds([] {
    install(SIGUSR1, &handler);
    struct sigaction with_info{};
    with_info.sa_sigaction = &handler_with_info;
    with_info.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigaction(SIGUSR2, &with_info, nullptr);
    auto c = make_chan<int>(4);
    signal::notify(c, {SIGUSR1, SIGUSR2});
    raise(SIGUSR1);
    raise(SIGUSR2);
    bool good = handled == 1 && handled_with_info == 1;
    received(c);
    received(c);
    signal::stop(c);
    raise(SIGUSR1);
    raise(SIGUSR2);
    return good && handled == 2 && handled_with_info == 2 && nothing_in(c) &&
           now(SIGUSR1).sa_handler == &handler && now(SIGUSR2).sa_sigaction == &handler_with_info &&
           (now(SIGUSR2).sa_flags & SA_NODEFER) != 0;
  });
}

TEST_F(signals, go_once_to_a_handler_that_was_there_for_one) {
  succeeds([] {
    install(SIGUSR1, &handler, static_cast<int>(SA_RESETHAND));
    auto c = make_chan<int>(4);
    signal::notify(c, {SIGUSR1});
    for (int i = 0; i < 3; ++i) {
      raise(SIGUSR1);
      if (received(c) != SIGUSR1) return false;
    }
    signal::stop(c);
    return handled == 1 && now(SIGUSR1).sa_handler == SIG_DFL;
  });
}

TEST_F(signals, ignored_before_are_ignored_again) {
  succeeds([] {
    install(SIGHUP, SIG_IGN);
    auto c = make_chan<int>(1);
    signal::notify(c, {SIGHUP});
    raise(SIGHUP);
    bool good = received(c) == SIGHUP;
    signal::stop(c);
    raise(SIGHUP);
    return good && now(SIGHUP).sa_handler == SIG_IGN && nothing_in(c);
  });
}

struct sigaction replaced;
void above(int s, siginfo_t* info, void* context) {
  if ((replaced.sa_flags & SA_SIGINFO) != 0) replaced.sa_sigaction(s, info, context);
}
void put_above() {
  struct sigaction mine{};
  mine.sa_sigaction = &above;
  mine.sa_flags = SA_SIGINFO;
  sigaction(SIGUSR1, &mine, &replaced);
}

TEST_F(signals, come_through_a_later_handler_that_calls_the_one_it_replaced) {
  succeeds([] {
    install(SIGUSR1, &handler);
    auto c = make_chan<int>(1);
    signal::notify(c, {SIGUSR1});
    put_above();
    raise(SIGUSR1);
    bool good = received(c) == SIGUSR1 && handled == 1;
    // It stays, and so does what it calls.
    signal::stop(c);
    raise(SIGUSR1);
    good = good && handled == 2 && now(SIGUSR1).sa_sigaction == &above;
    // Above it anew: once each.
    signal::notify(c, {SIGUSR1});
    raise(SIGUSR1);
    return good && received(c) == SIGUSR1 && handled == 3 && nothing_in(c);
  });
}

TEST_F(signals, do_not_reach_listeners_past_a_later_handler_that_keeps_them) {
  succeeds([] {
    auto c = make_chan<int>(1);
    signal::notify(c, {SIGUSR1});
    install(SIGUSR1, &handler);
    raise(SIGUSR1);
    passed_on();
    bool good = nothing_in(c) && handled == 1;
    signal::stop(c);
    return good && now(SIGUSR1).sa_handler == &handler;
  });
}

TEST_F(signals, quit_shows_no_goroutines_to_who_listens) {
  EXPECT_EXIT(run([] {
                auto c = make_chan<int>(1);
                signal::notify(c, {SIGQUIT});
                raise(SIGQUIT);
                if (received(c) != SIGQUIT) test::finish(false);
                signal::stop(c);
                raise(SIGQUIT);
                runnel::select();
              }),
              test::exits_with_2, "^SIGQUIT: quit\n");
}

TEST_F(signals, quit_shows_goroutines_if_listening_ended_within_a_run) {
  EXPECT_EXIT(
      {
        auto c = make_chan<int>(1);
        signal::notify(c, {SIGQUIT});
        run([&] {
          signal::stop(c);
          raise(SIGQUIT);
          runnel::select();
        });
      },
      test::exits_with_2, "^SIGQUIT: quit\n");
}

TEST_F(signals, of_faults_are_faults) {
  if (test::sanitized) GTEST_SKIP() << "the sanitizer reports faults itself";
  EXPECT_EXIT(
      {
        auto c = make_chan<int>(8);
        signal::notify(c);
        run([] {
          volatile int* nowhere = nullptr;
          *nowhere = 1;
        });
      },
      test::exits_with_2, "fatal error: SIGSEGV");
  EXPECT_EXIT(
      {
        auto c = make_chan<int>(8);
        signal::notify(c);
        run([] { std::abort(); });
      },
      test::exits_with_2, "fatal error: SIGABRT");
}

TEST_F(signals, do_not_keep_running_goroutines_from_being_shown) {
  succeeds([] {
    auto c = make_chan<int>(1);
    signal::notify(c, {SIGURG});
    return run({.max_procs = 2}, [&] {
      std::atomic<bool> over{false};
      runnel::go([&] {
        while (!over.load(std::memory_order_relaxed)) {
        }
      });
      std::string all = runnel::debug::stacks();
      over = true;
      return all.find("handles SIGURG") == std::string::npos &&
             all.find("does not answer") == std::string::npos && nothing_in(c);
    });
  });
}

TEST_F(signals, end_the_child_of_a_fork_as_ever) {
  succeeds([] {
    auto c = make_chan<int>(1);
    signal::notify(c, {SIGTERM});
    pid_t child = fork();
    if (child == 0) {
      raise(SIGTERM);
      _exit(7);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM && nothing_in(c);
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
  succeeds([] {
    auto c = make_chan<int>(1);
    signal::notify(c, {SIGALRM});
    alarm(1);
    return run([&] { return c.recv() == SIGALRM; });
  });
}

TEST_F(signals, that_nobody_awaits_any_more_leave_a_deadlock) {
  EXPECT_EXIT(run([] {
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

TEST_F(signals, cancel_a_context_and_are_its_cause) {
  succeeds([] {
    return run([] {
      auto ctx = signal::notify_context(runnel::background(), {SIGINT, SIGTERM});
      if (ctx.err()) return false;
      raise(SIGTERM);
      if (!ctx.done().recv_for(10s) && ctx.err() != runnel::context_errc::canceled) return false;
      raise(SIGTERM);  // still listened for
      passed_on();
      try {
        std::rethrow_exception(ctx.cause());
      } catch (const signal::signal_error& e) {
        return e.signal() == SIGTERM && std::string(e.what()) == "terminated signal received";
      }
    });
  });
}

TEST_F(signals, end_the_program_once_their_context_is_stopped) {
  EXPECT_EXIT(run([] {
                auto ctx = signal::notify_context(runnel::background(), {SIGTERM});
                ctx.stop();
                if (ctx.err() != runnel::context_errc::canceled) test::finish(false);
                raise(SIGTERM);
                test::finish(false);
              }),
              testing::KilledBySignal(SIGTERM), "");
}

TEST_F(signals, may_stop_their_context_from_its_own_callback) {
  succeeds([] {
    auto ctx = signal::notify_context(runnel::background(), {SIGUSR1});
    std::atomic<bool> called{false};
    std::stop_callback react(ctx.stop_token(), [&] {
      ctx.stop();
      called = true;
    });
    raise(SIGUSR1);
    passed_on();
    return called.load() && now(SIGUSR1).sa_handler == SIG_DFL;
  });
}

TEST_F(signals, leave_a_context_alone_whose_parent_was_cancelled) {
  succeeds([] {
    return run([] {
      auto [parent, cancel] = runnel::with_cancel(runnel::background());
      auto ctx = signal::notify_context(parent, {SIGUSR1});
      cancel();
      ctx.done().recv();
      raise(SIGUSR1);
      passed_on();
      try {
        std::rethrow_exception(ctx.cause());
      } catch (const std::system_error& e) {
        return e.code() == runnel::context_errc::canceled;
      }
    });
  });
}

}  // namespace
