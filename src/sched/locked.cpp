#include "sched/locked.h"

#include "base/check.h"
#include "sched/idle.h"
#include "sched/switch.h"
#include "sched/sysmon.h"

namespace runnel::sched {

void lock_thread() noexcept {
  m* self = enter();
  if (self == nullptr) return;
  g* me = self->current;
  if (me->lock_count++ == 0) {
    me->locked_m = self;
    self->locked_g = me;
  }
  leave(self);
}

void unlock_thread() noexcept {
  m* self = enter();
  if (self == nullptr) return;
  g* me = self->current;
  // As in Go, one unlock too many does nothing.
  if (me->lock_count > 0 && --me->lock_count == 0) {
    me->locked_m = nullptr;
    self->locked_g = nullptr;
  }
  leave(self);
}

runnable* wait_for_locked(m& self) noexcept {
  if (p* pp = self.processor) {
    disown(self);
    hand_off(*pp);
  }
  for (;;) {
    if (is_frozen(*self.locked_g)) {
      self.locked_g = nullptr;
      return nullptr;
    }
    self.parked.park();
    platform::lock_guard hold(rt().lock);
    if (self.next_p == nullptr) continue;
    own(self, *self.next_p);
    self.next_p = nullptr;
    break;
  }
  wake_sysmon();
  return self.locked_g;
}

void hand_to_locked(m& self, g* to) noexcept {
  p& pp = *self.processor;
  disown(self);
  m* owner = to->locked_m;
  {
    platform::lock_guard hold(rt().lock);
    owner->next_p = &pp;
  }
  wake(*owner);
}

}  // namespace runnel::sched
