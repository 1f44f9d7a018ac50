#pragma once
// Waiting on a word in memory: the only way this runtime puts a thread to sleep.

#include <atomic>
#include <cstdint>

namespace runnel::platform {

// Sleeps while word == expected, until woken or until the monotonic clock passes `deadline`
// (nanoseconds; time_never: no limit). May return early for no reason; the caller looks again.
// Returns false if the deadline has passed.
bool futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t expected,
                std::int64_t deadline) noexcept;
bool futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t expected) noexcept;

// Wakes at most `count` sleepers. The word may already be gone: only its address is used.
void futex_wake(std::atomic<std::uint32_t>& word, int count = 1) noexcept;

}  // namespace runnel::platform
