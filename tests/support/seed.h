#pragma once
// Random choices that a failure can be repeated with: RUNNEL_TEST_SEED.

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <random>

#include "base/random.h"

namespace test {

// Different at every run unless the environment fixes it; shown when the test fails.
inline std::uint64_t seed() {
  const char* fixed = std::getenv("RUNNEL_TEST_SEED");
  return fixed != nullptr ? std::strtoull(fixed, nullptr, 10) : std::random_device()();
}

}  // namespace test

#define RUNNEL_TRACE_SEED(value) SCOPED_TRACE("RUNNEL_TEST_SEED=" + std::to_string(value))
