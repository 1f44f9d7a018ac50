#include "sched/g_pool.h"

#include <algorithm>
#include <bit>
#include <new>

#include "platform/context.h"
#include "sched/goroutine.h"

namespace runnel::sched {
namespace {

constexpr std::size_t colours = 8;
constexpr std::size_t colour_step = 128;

}  // namespace

g* place_g(const memory::stack_slot& slot) noexcept {
  std::size_t shift = sizeof(g) + slot.colour % colours * colour_step;
  return reinterpret_cast<g*>(slot.top() - (shift + alignof(g) - 1) / alignof(g) * alignof(g));
}

g_pool::size_pool* g_pool::pool_for(std::size_t slot_size) noexcept {
  std::atomic<size_pool*>& cell = pools_[static_cast<std::size_t>(std::countr_zero(slot_size))];
  size_pool* pool = cell.load(std::memory_order_acquire);
  if (pool != nullptr) return pool;
  auto* made = new (std::nothrow) size_pool(slot_size);
  if (made == nullptr) return nullptr;
  if (cell.compare_exchange_strong(pool, made, std::memory_order_acq_rel)) return made;
  delete made;
  return pool;
}

bool g_pool::take(std::size_t slot_size, std::size_t count,
                  base::intrusive_queue<runnable>& out) noexcept {
  size_pool* pool = pool_for(slot_size);
  if (pool == nullptr) return false;
  platform::lock_guard hold(pool->lock);
  if (pool->idle.empty()) return false;
  for (; count > 0 && !pool->idle.empty(); --count) out.push_front(pool->idle.pop_front());
  pool->least_idle = std::min(pool->least_idle, pool->idle.size());
  return true;
}

g* g_pool::create(std::size_t slot_size) noexcept {
  size_pool* pool = pool_for(slot_size);
  if (pool == nullptr) return nullptr;
  memory::stack_slot slot = pool->space.take();
  if (slot.begin == nullptr) return nullptr;
  g* made = ::new (place_g(slot)) g;
  made->slot = slot;
  made->context.sanitizer.create(
      slot.lowest(), static_cast<std::size_t>(reinterpret_cast<char*>(made) - slot.lowest()));
  made->context.sp = platform::make_context(made, &goroutine_main, made);
  return made;
}

void g_pool::give(base::intrusive_queue<runnable>& gs) noexcept {
  while (runnable* r = gs.pop_front()) give(static_cast<g*>(r));
}

void g_pool::give(g* one) noexcept {
  size_pool* pool = pool_for(one->slot.size);
  platform::lock_guard hold(pool->lock);
  pool->idle.push_front(one);
}

g* g_pool::next(cursor& at, std::size_t& looks) noexcept {
  for (; at.pool < pools_.size(); ++at.pool, at.slot = 0) {
    size_pool* pool = pools_[at.pool].load(std::memory_order_acquire);
    if (pool == nullptr) continue;
    for (; looks != 0 && at.slot < pool->space.handed_out(); --looks) {
      g& one = *place_g(pool->space.slot_at(at.slot++));
      if (one.state.load(std::memory_order_acquire) != g_state::idle) return &one;
    }
    if (looks == 0) return nullptr;
  }
  return nullptr;
}

std::size_t g_pool::trim(std::size_t keep) noexcept {
  constexpr std::size_t batch = 64;
  std::size_t trimmed = 0;
  for (auto& cell : pools_) {
    size_pool* pool = cell.load(std::memory_order_acquire);
    if (pool == nullptr) continue;
    std::size_t goal;
    {
      platform::lock_guard hold(pool->lock);
      std::size_t idle = pool->idle.size();
      goal = idle - std::min(pool->least_idle, idle) / 2;
      goal = std::max(goal, std::min(keep, idle));
      pool->least_idle = idle;
    }
    for (;;) {
      memory::stack_slot slots[batch];
      std::size_t n = 0;
      {
        platform::lock_guard hold(pool->lock);
        while (n < batch && pool->idle.size() > goal) {
          auto* victim = static_cast<g*>(pool->idle.pop_front());
          victim->context.sanitizer.destroy();
          slots[n++] = victim->slot;
        }
      }
      if (n == 0) break;
      pool->space.give_back(slots, n);
      trimmed += n;
    }
  }
  return trimmed;
}

}  // namespace runnel::sched
