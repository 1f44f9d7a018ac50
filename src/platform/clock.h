#pragma once
// The monotonic clock, in nanoseconds: the clock of std::chrono::steady_clock and of futex timeouts.

#include <ctime>

#include <cstdint>
#include <limits>

namespace runnel::platform {

inline constexpr std::int64_t time_never = std::numeric_limits<std::int64_t>::max();

inline std::int64_t nanotime() noexcept {
  timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return ts.tv_sec * 1'000'000'000 + ts.tv_nsec;
}

}  // namespace runnel::platform
