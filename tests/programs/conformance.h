// What the conformance tests share. Each test holds the library to one statement of Go's specification, memory
// model or documentation, named by it, with one P and with several.
#pragma once

#include <gtest/gtest.h>
#include <runnel/runnel.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "support/wait.h"

namespace conformance {

using namespace std::chrono_literals;
using test::eventually;

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr bool sanitized = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif
#else
inline constexpr bool sanitized = false;
#endif

// How often a race gets the opportunity to show.
constexpr int times(int n) { return sanitized ? n / 10 : n; }

class on_procs : public testing::TestWithParam<int> {
 protected:
  template <class F>
  static auto run(F f) {
    return runnel::run({.max_procs = GetParam()}, std::move(f));
  }
};

inline std::string procs_name(const testing::TestParamInfo<int>& info) {
  return std::to_string(info.param) + (info.param == 1 ? "_proc" : "_procs");
}

// Gives all others ample opportunity: with one P, whoever can go on does.
inline void let_others_run() {
  for (int i = 0; i < 20; ++i) {
    runnel::wait_group round;
    for (int k = 0; k < 4; ++k) round.go([] { runnel::yield(); });
    round.wait();
    runnel::yield();
  }
}

// A goroutine that calls f, and whether it has come to the end of it. It must end before this does.
class background {
 public:
  template <class F>
  explicit background(F f) {
    wg_.go([this, f = std::move(f)]() mutable {
      f();
      ended_ = true;
    });
  }

  // f has had ample opportunity to come to its end and has not.
  bool stays_blocked() const {
    let_others_run();
    return !ended_;
  }
  bool ends() { return wg_.wait_for(30s) && ended_; }

 private:
  std::atomic<bool> ended_{false};
  runnel::wait_group wg_;
};

// The same of one that is left behind, blocked for ever.
template <class F>
bool blocks_for_ever(F f) {
  static std::atomic<bool> ended;
  ended = false;
  runnel::go([f = std::move(f)]() mutable {
    f();
    ended = true;
  });
  let_others_run();
  return !ended;
}

// The text of the panic that f ends with.
template <class F>
std::string panic_of(F f) {
  try {
    f();
  } catch (const runnel::runtime_error& e) {
    return e.what();
  }
  return "none";
}

}  // namespace conformance

#define CONFORMANCE(suite)             \
  using suite = conformance::on_procs; \
  INSTANTIATE_TEST_SUITE_P(on, suite, testing::Values(1, 4), conformance::procs_name)
