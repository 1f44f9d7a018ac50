#pragma once
// Waiting for a bit that its holder keeps for nanoseconds only.

#include <sched.h>

#include "base/sync_policy.h"

namespace runnel::base {

// Pauses at first; then, when the kernel must have descheduled the holder, lets it run.
class backoff {
 public:
  void wait() noexcept {
    if (count_ < pauses_max) {
      ++count_;
      hardware::pause();
    } else {
      sched_yield();
    }
  }

 private:
  static constexpr int pauses_max = 100;
  int count_ = 0;
};

// The same for code over a policy: what only pauses there yields here.
template <class Sync>
class patience {
 public:
  void wait() noexcept { Sync::pause(); }
};
template <>
class patience<hardware> : public backoff {};

}  // namespace runnel::base
