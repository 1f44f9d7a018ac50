#pragma once
// Death tests that need a process in which nothing has been found out yet about the kernel.

#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>

namespace test {

// An emulated program cannot start itself: the kernel does not know its machine.
inline bool can_start_itself() {
  char name[] = "itself", list[] = "--gtest_list_tests";
  char* arguments[] = {name, list, nullptr};
  posix_spawn_file_actions_t quietly;
  posix_spawn_file_actions_init(&quietly);
  posix_spawn_file_actions_addopen(&quietly, 1, "/dev/null", 1 /* O_WRONLY */, 0);
  pid_t child;
  int status = -1;
  if (posix_spawn(&child, "/proc/self/exe", &quietly, nullptr, arguments, environ) == 0) {
    waitpid(child, &status, 0);
  }
  posix_spawn_file_actions_destroy(&quietly);
  return status == 0;
}

// The death tests that follow run in a new image of this program; where that cannot be had, in a fork, which
// is as good when the test is the process's only one, as it is under ctest.
inline void die_in_a_fresh_process() {
  GTEST_FLAG_SET(death_test_style, can_start_itself() ? "threadsafe" : "fast");
}

}  // namespace test
