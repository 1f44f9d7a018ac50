#pragma once
// One thread's bed: sleeps until somebody gives it a permit. At most one permit is kept.
//
// States: 0 empty, 1 permit, 2 asleep (only the owner goes to 2).
// Invariants
//   unpark happened after the last park returned  =>  the next park returns without sleeping
//   the owner sleeps in the kernel                =>  the word is 2 or an unpark is about to wake it
// Ordering: unpark's release exchange is read by park's acquire exchange, so what was written before
// unpark is seen after park.

#include <cstdint>

#include "platform/clock.h"
#include "platform/futex.h"

namespace runnel::platform {

// Sync: base::hardware, or the model's. Bed: how to sleep on the word and how to wake the sleeper.
template <class Sync, class Bed>
class basic_parker {
 public:
  // By the owner. False: the deadline passed and no permit came.
  bool park(std::int64_t deadline = time_never) noexcept {
    std::uint32_t seen = word_.exchange(asleep, std::memory_order_acquire);
    while (seen != permit) {
      bool in_time = Bed::sleep(word_, asleep, deadline);
      seen = word_.load(std::memory_order_acquire);
      if (seen != permit && !in_time) {
        // A permit may still come between the load and here: the exchange decides.
        return word_.exchange(empty, std::memory_order_acquire) == permit;
      }
    }
    // Not a store: it could reach memory after a later unpark, and undo it. Acquire, for it may take the
    // permit of that later one with it.
    word_.exchange(empty, std::memory_order_acquire);
    return true;
  }

  // By the owner: takes a permit if there is one.
  bool take() noexcept {
    return word_.load(std::memory_order_relaxed) == permit &&
           word_.exchange(empty, std::memory_order_acquire) == permit;
  }

  // By anybody. The parker may be gone as soon as the exchange is done, if its owner can then leave.
  void unpark() noexcept {
    if (word_.exchange(permit, std::memory_order_release) == asleep) Bed::wake(word_);
  }

 private:
  static constexpr std::uint32_t empty = 0, permit = 1, asleep = 2;
  typename Sync::template atomic<std::uint32_t> word_{empty};
};

struct futex_bed {
  static bool sleep(std::atomic<std::uint32_t>& word, std::uint32_t expected,
                    std::int64_t deadline) noexcept {
    return futex_wait(word, expected, deadline);
  }
  static void wake(std::atomic<std::uint32_t>& word) noexcept { futex_wake(word); }
};

}  // namespace runnel::platform

#include "base/sync_policy.h"

namespace runnel::platform {
using parker = basic_parker<base::hardware, futex_bed>;
}
