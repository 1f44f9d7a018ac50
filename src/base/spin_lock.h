#pragma once
// A lock for sections of tens of nanoseconds: taken by one exchange, released by a plain store.
//
// Half of what platform::lock costs when nobody contends. Who has to wait pauses, and then yields the CPU: the
// holder's thread may have been descheduled. Holders neither park nor block.
// Pairing: release() with the acquire() that follows.

#include <atomic>

#include "base/backoff.h"

namespace runnel::base {

class spin_lock {
 public:
  bool try_acquire() noexcept { return !held_.exchange(true, std::memory_order_acquire); }
  void acquire() noexcept {
    backoff wait;
    while (!try_acquire()) {
      while (held_.load(std::memory_order_relaxed)) wait.wait();
    }
  }
  void release() noexcept { held_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> held_{false};
};

}  // namespace runnel::base
