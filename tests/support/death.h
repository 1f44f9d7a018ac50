#pragma once
// Tests of how a program ends, or that need a process of their own: the child is a new execution of the
// test program, because a fork has none of the runtime's threads.

#include <gtest/gtest.h>

#include <cstdlib>

namespace test {

class in_own_process : public testing::Test {
 protected:
  in_own_process() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

  // For the child, which inherits it.
  static void with_environment(const char* name, const char* value) { setenv(name, value, 1); }
};

// Go's status for panics and fatal errors.
inline const testing::ExitedWithCode exits_with_2(2);
inline const testing::ExitedWithCode succeeds(0);

// Ends the child: with success if `ok`.
[[noreturn]] inline void finish(bool ok) { std::exit(ok ? 0 : 1); }

}  // namespace test
