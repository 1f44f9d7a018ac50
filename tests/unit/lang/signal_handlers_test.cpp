// Signals that others handle, too: the program's handlers, the dump of SIGQUIT, faults, a fork.

#include "runnel/signal.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>

#include "runnel/runnel.h"
#include "support/scale.h"
#include "support/signals.h"

namespace {

using runnel::make_chan;
using runnel::run;
using test::nothing_in;
using test::passed_on;
using test::received;
namespace signal = runnel::signal;

class signal_handlers : public test::with_signals {};

TEST_F(signal_handlers, go_also_to_the_handler_that_was_there_before) {
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

TEST_F(signal_handlers, go_once_to_a_handler_that_was_there_for_one) {
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

TEST_F(signal_handlers, ignored_before_are_ignored_again) {
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
std::atomic<int> above_called{0};
void above(int s, siginfo_t* info, void* context) {
  ++above_called;
  if ((replaced.sa_flags & SA_SIGINFO) != 0) replaced.sa_sigaction(s, info, context);
}
void put_above() {
  struct sigaction mine{};
  mine.sa_sigaction = &above;
  mine.sa_flags = SA_SIGINFO;
  sigaction(SIGUSR1, &mine, &replaced);
}

TEST_F(signal_handlers, come_through_a_later_handler_that_calls_the_one_it_replaced) {
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
    return good && received(c) == SIGUSR1 && handled == 3 && above_called == 3 && nothing_in(c);
  });
}

TEST_F(signal_handlers, do_not_reach_listeners_past_a_later_handler_that_keeps_them) {
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

TEST_F(signal_handlers, quit_shows_no_goroutines_to_who_listens) {
  EXPECT_EXIT(run([] {
                auto c = make_chan<int>(1);
                signal::notify(c, {SIGQUIT});
                raise(SIGQUIT);
                if (received(c) != SIGQUIT) test::finish(false);
                std::fputs("heard\n", stderr);
                signal::stop(c);
                raise(SIGQUIT);
                runnel::select();
              }),
              test::exits_with_2, "^heard\nSIGQUIT: quit\n");
}

TEST_F(signal_handlers, quit_shows_goroutines_if_listening_ended_within_a_run) {
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

TEST_F(signal_handlers, of_faults_are_faults) {
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

TEST_F(signal_handlers, do_not_keep_running_goroutines_from_being_shown) {
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

TEST_F(signal_handlers, end_the_child_of_a_fork_as_ever) {
  if (test::has_tsan) GTEST_SKIP() << "it calls handlers late, and not while a thread sleeps";
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

}  // namespace
