// debug::stacks and write_stacks: from wherever they are asked for, and beside a program's own SIGURG.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>

#include "runnel/runnel.h"
#include "support/dump.h"
#include "support/scale.h"
#include "support/wait.h"
#include "unit/observe/seen.h"

namespace {

using namespace std::chrono_literals;
using runnel::run;
using runnel::sched::g_state;
using runnel::sched::wait_reason;
using test::compute_here;
using test::dump_now;
using test::dumped_goroutine;
using test::go_one;
using test::go_waiting;
using test::wait_here;

// --- who asks, and how ---

std::string read_all(int fd) {
  std::string text;
  char buffer[4096];
  for (;;) {
    ssize_t n = read(fd, buffer, sizeof buffer);
    if (n <= 0) return text;
    text.append(buffer, static_cast<std::size_t>(n));
  }
}

TEST(write_stacks, writes_the_same_to_a_pipe) {
  run([] {
    auto c = runnel::make_chan<int>();
    // More than a pipe holds: somebody must read meanwhile.
    constexpr int n = 1000;
    for (int i = 0; i < n; ++i) runnel::go([c] { wait_here(c); });
    auto waiting = [] {
      return std::ranges::count_if(
          dump_now().all(), [](const auto& it) { return it.second.state == "chan receive"; });
    };
    ASSERT_TRUE(test::eventually([&] { return waiting() == n; }));
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    std::string text;
    std::jthread reader([&] { text = read_all(ends[0]); });
    runnel::debug::write_stacks(ends[1]);
    close(ends[1]);
    reader.join();
    close(ends[0]);
    test::dump all(text);
    EXPECT_EQ(all.all().size(), n + 1U);
    EXPECT_EQ(all.find(runnel::goroutine_id())->state, "running");
  });
}

TEST(write_stacks, to_a_descriptor_that_is_closed_writes_nothing) {
  run([] {
    int fd = open("/dev/null", O_WRONLY);
    close(fd);
    runnel::debug::write_stacks(fd);
    EXPECT_NE(dump_now().text(), "");
  });
}

TEST(stacks, can_be_had_by_a_plain_thread) {
  run([] {
    test::dump all{""};
    std::atomic<bool> over{false};
    std::jthread asks([&] {
      all = dump_now();
      over = true;
    });
    ASSERT_TRUE(test::eventually([&] { return over.load(); }));
    EXPECT_NE(all.find(runnel::goroutine_id()), nullptr) << all.text();
  });
}

TEST(stacks, are_empty_outside_of_a_run) {
  run([] { runnel::go([] { runnel::select(); }); });
  EXPECT_EQ(runnel::debug::stacks(), "");
}

class askers : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(procs, askers, testing::Values(1, 2, 8));

TEST_P(askers, may_be_several_at_once) {
  run({.max_procs = GetParam()}, [] {
    auto c = runnel::make_chan<int>();
    auto it = go_waiting(wait_reason::chan_receive, [c] { wait_here(c); });
    std::atomic<int> good{0};
    constexpr int each = test::scaled(20);
    auto ask = [&] {
      for (int i = 0; i < each; ++i) {
        auto all = dump_now();
        const dumped_goroutine* found = all.find(it->id);
        if (found != nullptr && found->state == "chan receive") ++good;
      }
    };
    std::jthread a(ask), b(ask);
    runnel::wait_group wg;
    wg.go(ask);
    wg.go(ask);
    wg.wait();
    EXPECT_TRUE(test::eventually([&] { return good == 4 * each; })) << good;
  });
}

TEST(stacks, of_one_goroutine_can_be_had_later) {
  if (!test::symbols_can_be_had()) GTEST_SKIP() << "without libdw no names";
  run([] {
    void* frames[] = {reinterpret_cast<char*>(&wait_here) + 8};
    runnel::debug::goroutine_info info{
        .id = 7, .name = "some", .state = "chan receive, 3 minutes", .frames = {frames[0]}};
    std::string text = runnel::debug::to_string(info);
    EXPECT_TRUE(text.starts_with("goroutine 7 \"some\" [chan receive, 3 minutes]:\n")) << text;
    EXPECT_NE(text.find("wait_here"), std::string::npos) << text;
  });
}

// --- the program's own SIGURG ---

std::atomic<int> urgent{0};
void on_urgent(int) { ++urgent; }

class own_signal : public testing::Test {
 protected:
  void SetUp() override { sigaction(SIGURG, nullptr, &before_); }
  void TearDown() override { sigaction(SIGURG, &before_, nullptr); }
  static void set(void (*handler)(int)) {
    struct sigaction ours{};
    ours.sa_handler = handler;
    sigaction(SIGURG, &ours, nullptr);
  }

 private:
  struct sigaction before_{};
};

TEST_F(own_signal, is_left_to_the_program) {
  set(&on_urgent);
  std::atomic<bool> stop{false};
  run([&] {
    auto it = go_one([&] { compute_here(stop); });
    ASSERT_TRUE(test::eventually([&] { return it->id != 0; }));
    ASSERT_TRUE(test::eventually([&] { return it->is(g_state::running, wait_reason::none); }));
    auto all = dump_now();
    ASSERT_NE(all.find(it->id), nullptr) << all.text();
    ASSERT_EQ(all.find(it->id)->lines.size(), 1U) << all.text();
    EXPECT_EQ(all.find(it->id)->lines[0], "\t(the program handles SIGURG itself)");
    EXPECT_EQ(urgent, 0);
    raise(SIGURG);
    EXPECT_EQ(urgent, 1);
    stop = true;
  });
}

TEST_F(own_signal, is_ignored_again_afterwards) {
  set(SIG_IGN);
  run([] { EXPECT_NE(dump_now().text(), ""); });
  struct sigaction now{};
  sigaction(SIGURG, nullptr, &now);
  EXPECT_EQ(now.sa_handler, SIG_IGN);
}

}  // namespace
