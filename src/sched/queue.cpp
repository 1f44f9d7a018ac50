// Putting runnable goroutines into queues, and taking them from the global one.

#include <algorithm>

#include "base/check.h"
#include "sched/switch.h"

namespace runnel::sched {
namespace {

// The ring is full: half of it and `r`, shuffled, go to the global queue. Shuffled, because a program that
// spawns in a pattern would otherwise see the same unfair pattern on every other P.
bool overflow(m& self, p& pp, runnable* r) noexcept {
  constexpr std::uint32_t half = decltype(pp.queue)::capacity / 2;
  runnable* items[half + 1];
  std::uint32_t n = pp.queue.pop_half(items);
  if (n == 0) return false;
  items[n++] = r;
  for (std::uint32_t i = n - 1; i > 0; --i) std::swap(items[i], items[self.rng.below(i + 1)]);
  base::intrusive_queue<runnable> batch;
  for (std::uint32_t i = 0; i < n; ++i) batch.push_back(items[i]);
  runtime& r_t = rt();
  platform::lock_guard hold(r_t.lock);
  r_t.global.append(batch);
  r_t.global_size.store(static_cast<std::int64_t>(r_t.global.size()), std::memory_order_relaxed);
  return true;
}

}  // namespace

bool is_frozen(const runnable* r) noexcept {
  return !r->fresh &&
         static_cast<const g*>(r)->epoch != rt().epoch.load(std::memory_order_relaxed);
}

void put_local(m& self, runnable* r, bool next) noexcept {
  p& pp = *self.processor;
  if (next) {
    r = pp.queue.replace_next(r);
    if (r == nullptr) return;
  }
  // After a failed overflow a thief has made room.
  while (!pp.queue.push(r)) {
    if (overflow(self, pp, r)) return;
  }
}

void put_global(runnable* r) noexcept {
  runtime& r_t = rt();
  {
    platform::lock_guard hold(r_t.lock);
    if (is_frozen(r)) {
      static_cast<g*>(r)->state.store(g_state::frozen, std::memory_order_relaxed);
      return;
    }
    r_t.global.push_back(r);
    r_t.global_size.store(static_cast<std::int64_t>(r_t.global.size()), std::memory_order_relaxed);
  }
  notify_work();
}

// A fair share of the global queue: one to run, the rest into the ring of `to`.
runnable* take_global_locked(p& to, std::int64_t most) noexcept {
  runtime& r_t = rt();
  auto size = static_cast<std::int64_t>(r_t.global.size());
  if (size == 0) return nullptr;
  constexpr std::int64_t half = decltype(to.queue)::capacity / 2;
  std::int64_t n = std::min({size, size / r_t.procs.load(std::memory_order_relaxed) + 1, half});
  if (most > 0) n = std::min(n, most);
  runnable* first = r_t.global.pop_front();
  for (std::int64_t i = 1; i < n; ++i) {
    runnable* item = r_t.global.pop_front();
    if (!to.queue.push(item)) {
      r_t.global.push_front(item);
      break;
    }
  }
  r_t.global_size.store(static_cast<std::int64_t>(r_t.global.size()), std::memory_order_relaxed);
  return first;
}

}  // namespace runnel::sched
