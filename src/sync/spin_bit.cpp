#include "runnel/detail/spin_bit.h"

#include "base/backoff.h"

namespace runnel::detail {

void spin_bit::lock_slow() noexcept {
  base::backoff backoff;
  do {
    while (held_.load(std::memory_order_relaxed) != 0) backoff.wait();
  } while (held_.exchange(1, std::memory_order_acquire) != 0);
}

}  // namespace runnel::detail
