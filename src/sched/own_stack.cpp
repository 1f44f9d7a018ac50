#include "sched/own_stack.h"

#include <algorithm>

#include "platform/backtrace.h"
#include "sched/switch.h"

namespace runnel::sched {

[[gnu::noinline]] int capture_own_stack(void** frames, int most) noexcept {
  const m* self = current_m();
  // Of a plain thread we do not know where the stack ends.
  if (self != nullptr && self->current != nullptr) {
    int count = rt().frames.walk(self->current->slot.top(), frames, most);
    if (count > 0) {
      // Without the first, which lies in this function.
      std::copy(frames + 1, frames + count, frames);
      return count - 1;
    }
  }
  int count = platform::capture_backtrace(frames, most, 1);
  asm volatile("");  // no tail call: this function is the one that is left out
  return count;
}

}  // namespace runnel::sched
