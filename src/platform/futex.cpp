#include "platform/futex.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

#include "platform/clock.h"
#include "platform/keep_errno.h"

namespace runnel::platform {
bool futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t expected,
                std::int64_t deadline) noexcept {
  keep_errno keep;
  timespec ts;
  timespec* limit = nullptr;
  if (deadline != time_never) {
    if (deadline <= 0) return false;
    ts.tv_sec = deadline / 1'000'000'000;
    ts.tv_nsec = deadline % 1'000'000'000;
    limit = &ts;
  }
  // The bitset form takes an absolute time of the monotonic clock.
  long r = syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, expected, limit, nullptr,
                   FUTEX_BITSET_MATCH_ANY);
  return !(r < 0 && errno == ETIMEDOUT);
}

bool futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t expected) noexcept {
  return futex_wait(word, expected, time_never);
}

void futex_wake(std::atomic<std::uint32_t>& word, int count) noexcept {
  keep_errno keep;
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, count, nullptr, nullptr, 0);
}

}  // namespace runnel::platform
