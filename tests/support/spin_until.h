#pragma once
// Waiting for a condition without the runtime, for tests of what lies below it. The limit only turns a hang into a failure.

#include <sched.h>

#include <cstdint>

#include "platform/clock.h"

namespace test {

inline constexpr std::int64_t patience_ns = 30'000'000'000;

template <class Condition>
bool spin_until(Condition holds) {
  std::int64_t limit = runnel::platform::nanotime() + patience_ns;
  while (!holds()) {
    if (runnel::platform::nanotime() > limit) return false;
    sched_yield();
  }
  return true;
}

}  // namespace test
