// Timers of Ps, as the scheduler uses them: tokens are goroutines to be made runnable.

#include <algorithm>

#include "sched/idle.h"
#include "sched/switch.h"
#include "sched/timer_callback.h"
#include "sched/world.h"

namespace runnel::sched {

namespace {
// Bytes of stack around a parked goroutine's stack pointer that it touches at once when it goes on: the
// frames it returns through above, the post-switch action of the one before it below.
constexpr std::ptrdiff_t hot_above = 320, hot_below = 320;

timer_callback* callback_of(void* token) noexcept {
  auto bits = reinterpret_cast<std::uintptr_t>(token);
  return (bits & 1) != 0 ? reinterpret_cast<timer_callback*>(bits & ~std::uintptr_t{1}) : nullptr;
}
}  // namespace

std::size_t fire_timers(m& self, p& from, std::int64_t now) noexcept {
  if (from.timers.next() > now) return 0;
  // No more at once than the ring can take: the rest stays in the heap, where it costs nothing to wait, and is
  // looked at again when the ring is empty. But always some: a busy ring must not stop the clock.
  constexpr std::uint32_t most = poll::timer_heap::take_max, least = 8;
  void* tokens[most];
  std::uint32_t queued = self.processor->queue.size();
  std::uint32_t room = std::max(least, most - std::min(most, queued));
  // Behind one who blocks there may be many who will: whose timer is late is next, before them. One at a time, so that they
  // get their turn, too.
  bool next = &from == self.processor && from.handed_on;
  if (next) room = 1;
  std::size_t n = from.timers.take_due(now, {tokens, room});
  // Many that have slept for long are cold: fetch what the switch to them will touch, while there is time.
  for (std::size_t i = 0; i < n; ++i) __builtin_prefetch(tokens[i], 1);
  for (std::size_t i = 0; i < n; ++i) {
    if (timer_callback* it = callback_of(tokens[i])) {
      it->next_due = nullptr;
      *self.processor->last_due = it;
      self.processor->last_due = &it->next_due;
      continue;
    }
    auto* woken = static_cast<g*>(tokens[i]);
    const auto* frames = static_cast<const char*>(woken->context.sp);
    for (std::ptrdiff_t at = -hot_below; at < hot_above; at += 64)
      __builtin_prefetch(frames + at, 1);
    woken->state.store(g_state::runnable, std::memory_order_relaxed);
    put_local(self, woken, next);
  }
  if (n > 1 || (n == 1 && queued != 0)) notify_work_with_p();
  return n;
}

void run_due_callbacks(m& self) noexcept {
  p& pp = *self.processor;
  pin inside(&self);
  while (timer_callback* it = pp.due) {
    pp.due = it->next_due;
    if (pp.due == nullptr) pp.last_due = &pp.due;
    it->call(self, *it);
  }
}

void note_dropped_locked(poll::timer_node& node) noexcept {
  auto& it = reinterpret_cast<timer_callback&>(node);
  if (it.dropped.load(std::memory_order_relaxed)) return;
  it.dropped.store(true, std::memory_order_release);
  it.next_dropped = rt().dropped_callbacks;
  rt().dropped_callbacks = &it;
}

bool take_dropped(timer_callback& it) noexcept {
  platform::lock_guard hold(rt().lock);
  for (timer_callback** link = &rt().dropped_callbacks; *link != nullptr;
       link = &(*link)->next_dropped) {
    if (*link != &it) continue;
    *link = it.next_dropped;
    it.dropped.store(false, std::memory_order_relaxed);
    return true;
  }
  return false;
}

void add_callback(m* self, timer_callback& it, std::int64_t when) noexcept {
  it.node.when = when;
  it.node.cancellable = true;
  p& pp = self != nullptr ? *self->processor : first_p();
  if (pp.timers.add(it.node)) watch_timer(when);
}

std::int64_t earliest_timer() noexcept {
  runtime& r = rt();
  std::int64_t least = platform::time_never;
  int n = r.p_made.load(std::memory_order_acquire);
  for (int i = 0; i < n; ++i) {
    least = std::min(least, r.all_p[i].load(std::memory_order_relaxed)->timers.next());
  }
  return least;
}

}  // namespace runnel::sched
