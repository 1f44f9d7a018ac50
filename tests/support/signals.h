#pragma once
// For tests of signals: what a signal does to a process is the process's, so each test has one of its own.

#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <chrono>

#include "runnel/runnel.h"
#include "support/death.h"

namespace test {

inline int received(const runnel::chan<int>& from) {
  auto got = from.recv_for(std::chrono::seconds(10));
  return got ? *got : -1;
}

inline bool nothing_in(const runnel::chan<int>& c) { return c.len() == 0; }

// After it, whatever was raised before has been passed on.
inline void passed_on() {
  auto c = runnel::make_chan<int>(1);
  runnel::signal::notify(c, {SIGRTMAX});
  raise(SIGRTMAX);
  EXPECT_EQ(received(c), SIGRTMAX);
  runnel::signal::stop(c);
}

class with_signals : public in_own_process {
 protected:
  static inline std::atomic<int> handled{0};
  static inline std::atomic<int> handled_with_info{0};
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
    EXPECT_EXIT(finish(f() && !testing::Test::HasFailure()), test::succeeds, "");
  }
};

}  // namespace test
