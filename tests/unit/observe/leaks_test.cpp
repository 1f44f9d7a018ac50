// debug::leaks: the classic leaks are found.

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <thread>

#include "platform/sanitizer.h"
#include "runnel/debug.h"
#include "runnel/runnel.h"
#include "support/wait.h"

namespace {

using namespace runnel;
using namespace std::chrono_literals;

constexpr bool blind = platform::has_asan || platform::has_tsan;

// What a caller leaves on its stack, and in registers, is overwritten.
[[gnu::noinline]] void wipe() {
  volatile char old[4096];
  for (std::size_t i = 0; i < sizeof old; ++i) old[i] = 0;
}

// The names of the goroutines that have leaked, when all that are expected have been found.
std::vector<std::string> leaked(std::size_t expected) {
  std::vector<std::string> names;
  test::eventually(
      [&] {
        wipe();
        names.clear();
        for (const auto& one : debug::leaks()) names.push_back(one.name);
        return names.size() >= expected;
      },
      10s);
  std::sort(names.begin(), names.end());
  return names;
}

using names = std::vector<std::string>;

class leaks_test : public testing::Test {
 protected:
  void SetUp() override {
    if (blind) GTEST_SKIP() << "the sanitizer's allocator does not tell where its memory is";
  }
};

[[gnu::noinline]] void ask_with_timeout() {
  auto answer = make_chan<int>();
  go({.name = "sender"}, [answer] { answer.send(42); });
  sleep(1ms);
}

TEST_F(leaks_test, a_sender_whose_receiver_has_given_up) {
  run([] {
    ask_with_timeout();
    EXPECT_EQ(leaked(1), names{"sender"});
  });
}

[[gnu::noinline]] void range_without_close() {
  auto values = make_chan<int>();
  go({.name = "range"}, [values] {
    for (int v : values) (void)v;
  });
  values.send(1);
}

TEST_F(leaks_test, a_range_over_a_channel_that_nobody_closes) {
  run([] {
    range_without_close();
    EXPECT_EQ(leaked(1), names{"range"});
  });
}

[[gnu::noinline]] void wait_without_done() {
  auto all = std::make_shared<wait_group>();
  all->add(2);
  go([all] { all->done(); });
  go({.name = "waiter"}, [all] { all->wait(); });
}

TEST_F(leaks_test, a_wait_for_a_done_that_was_forgotten) {
  run([] {
    wait_without_done();
    EXPECT_EQ(leaked(1), names{"waiter"});
  });
}

TEST_F(leaks_test, a_nil_channel) {
  run([] {
    go({.name = "nil"}, [] { chan<int>().recv(); });
    EXPECT_EQ(leaked(1), names{"nil"});
  });
}

}  // namespace
