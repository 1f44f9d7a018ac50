// runnel/time.h: sleeping.

#include "platform/clock.h"
#include "runnel/time.h"
#include "wait/waiter.h"

namespace runnel::detail {

std::int64_t now_nanoseconds() noexcept { return platform::nanotime(); }

void sleep_until(std::int64_t deadline) noexcept { wait::sleep_until(deadline); }

}  // namespace runnel::detail
