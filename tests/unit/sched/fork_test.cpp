// fork, and what may follow it.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <string>
#include <thread>

#include "runnel/runnel.h"
#include "support/wait.h"

namespace {

using runnel::run;

// The status of /bin/sh with that command, started by fork and exec from here.
int status_of_shell(const char* command) {
  pid_t child = fork();
  if (child == 0) {
    execl("/bin/sh", "sh", "-c", command, nullptr);
    _exit(127);
  }
  int status = -1;
  if (waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

TEST(fork, and_exec_work_from_a_goroutine) {
  run({.max_procs = 2}, [] {
    EXPECT_EQ(status_of_shell("exit 7"), 7);
    runnel::yield();  // and the parent goes on
  });
}

TEST(fork, and_exec_work_from_many_goroutines_at_once) {
  run({.max_procs = 4}, [] {
    std::atomic<int> right{0};
    runnel::wait_group wg;
    for (int i = 0; i < 8; ++i) {
      wg.go([&] { right += status_of_shell("exit 3") == 3; });
    }
    wg.wait();
    EXPECT_EQ(right, 8);
  });
}

TEST(fork, and_exec_work_inside_a_blocking_call) {
  run({.max_procs = 1},
      [] { EXPECT_EQ(runnel::blocking([] { return status_of_shell("exit 5"); }), 5); });
}

TEST(fork, and_exec_work_from_a_plain_thread) {
  run([] {
    std::thread t([] { EXPECT_EQ(status_of_shell("exit 6"), 6); });
    runnel::blocking([&] { t.join(); });
  });
  EXPECT_EQ(status_of_shell("exit 4"), 4);
}

// What a forked child that calls f() ends with, and what it says.
template <class F>
std::pair<int, std::string> end_of_child(F f) {
  int ends[2];
  if (pipe(ends) != 0) return {-1, ""};
  pid_t child = fork();
  if (child == 0) {
    alarm(10);  // a child that waits for ever has failed
    dup2(ends[1], STDERR_FILENO);
    f();
    _exit(0);
  }
  close(ends[1]);
  std::string text;
  char part[512];
  for (ssize_t n; (n = read(ends[0], part, sizeof part)) > 0;) {
    text.append(part, static_cast<std::size_t>(n));
  }
  close(ends[0]);
  int status = -1;
  waitpid(child, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, text};
}

template <class F>
void expect_refusal(F f) {
  auto [status, text] = end_of_child(f);
  EXPECT_EQ(status, 2);
  EXPECT_NE(text.find("fatal error: runtime used after fork"), std::string::npos) << text;
  EXPECT_NE(text.find("exec"), std::string::npos) << text;
}

TEST(fork, the_childs_goroutine_may_not_use_the_runtime) {
  run({.max_procs = 2}, [] {
    expect_refusal([] { runnel::yield(); });
    expect_refusal([] { runnel::go([] {}); });
    expect_refusal([] { runnel::sleep(std::chrono::milliseconds(1)); });
    expect_refusal([] { runnel::blocking([] {}); });
  });
}

TEST(fork, the_child_of_a_blocking_call_may_not_use_the_runtime) {
  run({.max_procs = 2}, [] { runnel::blocking([] { expect_refusal([] { runnel::yield(); }); }); });
}

TEST(fork, the_childs_plain_thread_may_not_use_the_runtime) {
  run([] {});
  expect_refusal([] { runnel::go([] {}); });
  expect_refusal([] {
    runnel::wait_group wg;
    wg.add(1);
    wg.wait();
  });
}

TEST(fork, the_child_may_not_run) {
  run([] {});
  auto [status, text] = end_of_child([] {
    run([] {});
    _exit(0);
  });
  EXPECT_EQ(status, 2) << text;
  EXPECT_NE(text.find("runtime used after fork"), std::string::npos) << text;
}

}  // namespace
