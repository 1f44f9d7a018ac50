#pragma once
// Time for goroutines. The clock is std::chrono::steady_clock, which does not jump.

#include <chrono>
#include <cstdint>

#include "runnel/detail/duration.h"

namespace runnel {

using duration = std::chrono::steady_clock::duration;
using time_point = std::chrono::steady_clock::time_point;

namespace detail {
void sleep_until(std::int64_t deadline) noexcept;
}

// Parks the goroutine for at least d. Not positive: returns at once. Any thread.
template <class Rep, class Period>
void sleep(std::chrono::duration<Rep, Period> d) {
  if (d > d.zero()) detail::sleep_until(detail::deadline_after(d));
}

// The same until t.
template <class Duration>
void sleep_until(std::chrono::time_point<std::chrono::steady_clock, Duration> t) {
  std::int64_t deadline = detail::to_nanoseconds(t.time_since_epoch());
  if (deadline > detail::now_nanoseconds()) detail::sleep_until(deadline);
}

}  // namespace runnel
