#include "platform/lock.h"

namespace runnel::platform {

void lock::acquire_slow() noexcept {
  // Holders leave after tens of nanoseconds unless the kernel has descheduled them.
  constexpr int spins = 40;
  for (int i = 0; i < spins; ++i) {
    base::hardware::pause();
    if (word_.load(std::memory_order_relaxed) == 0 && try_acquire()) return;
  }
  // From here on the word says 2 even when we are the only one: at worst a needless wake.
  while (word_.exchange(2, std::memory_order_acquire) != 0) futex_wait(word_, 2);
}

}  // namespace runnel::platform
