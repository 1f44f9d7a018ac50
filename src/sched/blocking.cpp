#include "sched/blocking.h"

#include "sched/idle.h"
#include "sched/switch.h"

namespace runnel::sched {

void begin_blocking() noexcept {
  m* self = enter();
  if (self == nullptr || self->pinned != 0) return;
  self->current->reason.store(wait_reason::blocking, std::memory_order_relaxed);
  p& pp = *self->processor;
  disown(*self);
  self->shake.surrender();
  hand_off(pp);
  self->shake.leave(zone::blocking);
}

void end_blocking() noexcept {
  int error = platform::errno_ref();
  if (m* self = enter()) {
    self->current->reason.store(wait_reason::none, std::memory_order_relaxed);
    leave(self);
  }
  platform::errno_ref() = error;
}

}  // namespace runnel::sched
