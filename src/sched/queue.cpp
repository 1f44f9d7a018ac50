// Putting runnable goroutines into queues, and taking them from the global one.

#include <algorithm>

#include "base/check.h"
#include "sched/switch.h"

namespace runnel::sched {
namespace {

void publish_size_locked() noexcept {
  runtime& r = rt();
  r.global_size.store(r.global.size(), std::memory_order_relaxed);
}

// Half of the ring and `r`, shuffled, go to the global queue. Shuffled, because a program that spawns in a
// pattern would otherwise see the same unfair pattern on every other P. False: thieves have made room.
bool overflow(m& self, p& pp, runnable* r) noexcept {
  constexpr std::uint32_t half = decltype(pp.queue)::capacity / 2;
  runnable* items[half + 1];
  std::uint32_t n = pp.queue.pop_half(items);
  if (n == 0) return false;
  items[n++] = r;
  for (std::uint32_t i = n - 1; i > 0; --i) std::swap(items[i], items[self.rng.below(i + 1)]);
  runtime& r_t = rt();
  platform::lock_guard hold(r_t.lock);
  r_t.global.push_back(items, n);
  publish_size_locked();
  return true;
}

}  // namespace

void put_when_full(m& self, runnable* r) noexcept {
  p& pp = *self.processor;
  while (!overflow(self, pp, r) && !pp.queue.push(r)) {
  }
}

void put_global(runnable* r) noexcept {
  check_not_forked();
  runtime& r_t = rt();
  {
    platform::lock_guard hold(r_t.lock);
    if (!r->fresh && is_frozen(*static_cast<g*>(r))) {
      static_cast<g*>(r)->state.store(g_state::frozen, std::memory_order_relaxed);
      return;
    }
    r_t.global.push_back(r);
    publish_size_locked();
  }
  notify_work();
}

void put_global_new(task* r) noexcept {
  check_not_forked();
  runtime& r_t = rt();
  {
    platform::lock_guard hold(r_t.lock);
    r_t.started_outside.fetch_add(1, std::memory_order_relaxed);
    r_t.global.push_back(r);
    publish_size_locked();
  }
  notify_work();
}

// A fair share of the global queue: one to run, the rest into the ring of `to`.
runnable* take_global_locked(p& to, std::int64_t most) noexcept {
  runtime& r_t = rt();
  std::int64_t size = r_t.global.size();
  if (size == 0) return nullptr;
  constexpr std::uint32_t half = decltype(to.queue)::capacity / 2;
  std::int64_t n =
      std::min<std::int64_t>(size / r_t.procs.load(std::memory_order_relaxed) + 1, half);
  // The owner's ring may be nearly full when it looks here out of turn.
  n = std::min<std::int64_t>({n, most, 1 + to.queue.room()});
  runnable* items[half];
  std::uint32_t got = r_t.global.pop_front(items, static_cast<std::uint32_t>(n));
  publish_size_locked();
  for (std::uint32_t i = 1; i < got; ++i) to.queue.push(items[i]);
  return items[0];
}

}  // namespace runnel::sched
