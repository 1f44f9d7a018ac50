#pragma once
// From any std::chrono time to the runtime's nanoseconds, without overflow.

#include <chrono>
#include <cstdint>
#include <limits>
#include <ratio>

namespace runnel::detail {

inline constexpr std::int64_t no_deadline = std::numeric_limits<std::int64_t>::max();

// Rounded up: never shorter than asked. Beyond the range: the nearest end.
template <class Rep, class Period>
constexpr std::int64_t to_nanoseconds(std::chrono::duration<Rep, Period> d) noexcept {
  using seconds = std::chrono::duration<double>;
  // Compared in floating point first: hours::max() would overflow on conversion.
  double s = std::chrono::duration_cast<seconds>(d).count();
  if (!(s < 9.2e9)) return no_deadline;
  if (s < -9.2e9) return std::numeric_limits<std::int64_t>::min();
  return std::chrono::ceil<std::chrono::nanoseconds>(d).count();
}

std::int64_t now_nanoseconds() noexcept;  // steady_clock

template <class Rep, class Period>
std::int64_t deadline_after(std::chrono::duration<Rep, Period> d) noexcept {
  std::int64_t ns = to_nanoseconds(d);
  std::int64_t now = now_nanoseconds();
  if (ns <= 0) return now;
  return ns >= no_deadline - now ? no_deadline : now + ns;
}

}  // namespace runnel::detail
