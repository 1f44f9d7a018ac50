#pragma once
// How much a test does: everything, or less where a sanitizer makes it slow.

#include <algorithm>

#include "platform/sanitizer.h"

namespace test {

inline constexpr bool has_asan = runnel::platform::has_asan;
inline constexpr bool has_tsan = runnel::platform::has_tsan;
inline constexpr bool sanitized = has_asan || has_tsan;

// Repetitions.
constexpr int scaled(int n) { return sanitized ? std::max(1, n / 10) : n; }

// Goroutines with a stack at the same time: ThreadSanitizer has room for about 8000 fibers.
constexpr int alive(int n) { return has_tsan ? std::min(n, 2000) : n; }

// Limits of time that are a promise of the runtime, not of the sanitizer's.
constexpr int patience(int milliseconds) { return sanitized ? 10 * milliseconds : milliseconds; }

}  // namespace test
