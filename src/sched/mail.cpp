#include "sched/mail.h"

#include "sched/switch.h"

namespace runnel::sched {
namespace {

constexpr std::int64_t patience_ns = 50'000'000;

void send(m&, g* left, void* argument) {
  p& to = *static_cast<p*>(argument);
  runtime& r = rt();
  bool elsewhere;
  {
    platform::lock_guard hold(r.lock);
    if (is_frozen(*left)) {
      left->state.store(g_state::frozen, std::memory_order_relaxed);
      return;
    }
    elsewhere = to.status.load(std::memory_order_relaxed) != p_status::running;
    if (elsewhere) {
      r.global.push_back(left);
      r.global_size.store(r.global.size(), std::memory_order_relaxed);
    } else {
      to.mail.push_back(left);
      to.gathered_until.store(platform::nanotime() + patience_ns, std::memory_order_relaxed);
      to.mail_size.store(static_cast<std::uint32_t>(to.mail.size()), std::memory_order_relaxed);
    }
  }
  if (elsewhere) notify_work();
}

}  // namespace

m* gather(m* self, p& other) noexcept {
  g* me = self->current;
  p& mine = *self->processor;
  if (&mine == &other || me->locked_m != nullptr || self->pinned != 0) return self;
  // Where more of them are; both sides must not change places.
  std::uint32_t here = mine.queue.size() + mine.mail_size.load(std::memory_order_relaxed);
  std::uint32_t there = other.queue.size() + other.mail_size.load(std::memory_order_relaxed);
  if (there < here || (there == here && other.number > mine.number)) return self;
  me->state.store(g_state::runnable, std::memory_order_relaxed);
  return suspend(self, {&send, me, &other});
}

runnable* take_mail_locked(p& pp) noexcept {
  runnable* first = pp.mail.pop_front();
  if (first == nullptr) return nullptr;
  while (!pp.mail.empty() && pp.queue.room() != 0) pp.queue.push(pp.mail.pop_front());
  pp.mail_size.store(static_cast<std::uint32_t>(pp.mail.size()), std::memory_order_relaxed);
  return first;
}

runnable* take_mail(p& pp) noexcept {
  platform::lock_guard hold(rt().lock);
  return take_mail_locked(pp);
}

runnable* steal_mail(p& victim) noexcept {
  platform::lock_guard hold(rt().lock);
  runnable* first = victim.mail.pop_front();
  victim.mail_size.store(static_cast<std::uint32_t>(victim.mail.size()), std::memory_order_relaxed);
  return first;
}

void return_mail_locked() noexcept {
  runtime& r = rt();
  int n = r.p_made.load(std::memory_order_relaxed);
  for (int i = 0; i < n; ++i) {
    p& pp = *r.all_p[i].load(std::memory_order_relaxed);
    while (runnable* item = pp.mail.pop_front()) r.global.push_back(item);
    pp.mail_size.store(0, std::memory_order_relaxed);
  }
  r.global_size.store(r.global.size(), std::memory_order_relaxed);
}

}  // namespace runnel::sched
