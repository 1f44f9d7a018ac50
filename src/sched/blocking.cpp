#include "sched/blocking.h"

#include "sched/idle.h"
#include "sched/switch.h"

namespace runnel::sched {

void begin_blocking_at(const platform::registers& caller) noexcept {
  m* self = enter();
  if (self == nullptr || self->pinned != 0) return;
  self->blocked_at = caller;
  self->current->reason.store(wait_reason::blocking, std::memory_order_relaxed);
  self->current->waits_since(rt().seconds.load(std::memory_order_relaxed));
  p& pp = *self->processor;
  rt().at_large.fetch_add(1, std::memory_order_relaxed);
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

// By the assembly function runnel_begin_blocking.
extern "C" void runnel_begin_blocking_at(const runnel::platform::registers* caller) noexcept {
  runnel::sched::begin_blocking_at(*caller);
}
