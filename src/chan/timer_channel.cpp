#include "chan/timer_channel.h"

#include <chrono>

namespace runnel::detail {
namespace {

using time_point = std::chrono::steady_clock::time_point;

time_point to_time_point(std::int64_t nanoseconds) noexcept {
  return time_point(
      std::chrono::duration_cast<time_point::duration>(std::chrono::nanoseconds(nanoseconds)));
}

}  // namespace

timer_core::timer_core(channel& owner, std::int64_t when, std::int64_t period) noexcept
    : owner(owner), when(when), period(period) {
  callback.node.claim = &claim;
  callback.call = &fire;
}

// Under the heap's lock, which whoever leaves the queue needs for taking us out: the channel is there.
void* timer_core::claim(poll::timer_node& node) noexcept {
  auto& core = reinterpret_cast<timer_core&>(node);
  core.owner.retain();
  core.in_flight.store(true, std::memory_order_relaxed);
  return sched::token_of(core.callback);
}

void timer_core::fire(sched::m& self, sched::timer_callback& it) noexcept {
  auto& core = reinterpret_cast<timer_core&>(it);
  channel& c = core.owner;
  chan_node* partner = nullptr;
  c.lock(&self);
  core.in_flight.store(false, std::memory_order_relaxed);
  std::int64_t at;
  if (core.take_due_value_locked(at)) {
    time_point value = to_time_point(at);
    c.put_timer_value_locked(&self, &value, partner);
  }
  if (c.somebody_waits_locked()) core.begin_wait_locked(&self);
  c.unlock();
  wake_partner(&self, partner);
  chan_release(&c);
}

// True: a value is due, the time at which it became due, and the timer is set for the next.
bool timer_core::take_due_value_locked(std::int64_t& value) noexcept {
  if (!due()) return false;
  std::int64_t w = when.load(std::memory_order_relaxed);
  std::int64_t now = platform::nanotime();
  value = w;
  std::int64_t next = platform::time_never;
  // Ticks that nobody has received are lost, and the rhythm is kept.
  if (period > 0) {
    std::int64_t missed = (now - w) / period;
    if (__builtin_add_overflow(w, (missed + 1) * period, &next)) next = platform::time_never;
  }
  when.store(next, std::memory_order_relaxed);
  return true;
}

void timer_core::catch_up_locked() noexcept {
  std::int64_t at;
  if (!take_due_value_locked(at)) return;
  time_point value = to_time_point(at);
  chan_node* nobody = nullptr;
  owner.put_timer_value_locked(nullptr, &value, nobody);
}

void timer_core::begin_wait_locked(sched::m* self) noexcept {
  std::int64_t w = when.load(std::memory_order_relaxed);
  if (w == platform::time_never || in_heap() || in_flight.load(std::memory_order_relaxed)) return;
  sched::add_callback(self, callback, w);
}

void timer_core::end_wait_locked() noexcept {
  if (!in_heap()) return;
  bool needed = when.load(std::memory_order_relaxed) != platform::time_never;
  // If it has just left the heap, its callback is on the way, and will find nothing to do.
  if (!needed || !owner.somebody_waits_locked()) sched::remove_callback(callback);
}

bool timer_core::set_locked(sched::m* self, std::int64_t new_when,
                            std::int64_t new_period) noexcept {
  bool pending = owner.drop_timer_value_locked();
  pending = pending || when.load(std::memory_order_relaxed) != platform::time_never;
  when.store(new_when, std::memory_order_relaxed);
  period = new_period;
  if (in_heap()) sched::remove_callback(callback);
  if (owner.somebody_waits_locked()) begin_wait_locked(self);
  return pending;
}

channel* timer_make(std::int64_t when, std::int64_t period) {
  const element_type& type = element_type_of<time_point>;
  void* memory = ::operator new(sizeof(channel) + sizeof(timer_core) + sizeof(time_point));
  char* core = static_cast<char*>(memory) + sizeof(channel);
  auto* made = ::new (memory) channel(type, 1, core + sizeof(timer_core));
  made->attach_timer(::new (core) timer_core(*made, when, period));
  return made;
}

bool timer_set(channel* c, std::int64_t when, std::int64_t period) noexcept {
  sched::m* self = sched::enter();
  c->lock(self);
  bool pending = c->timer()->set_locked(self, when, period);
  c->unlock();
  if (self != nullptr) sched::leave(self);
  return pending;
}

}  // namespace runnel::detail
