#pragma once
// Goroutines without work, each with its stack: one pool for every stack size in use.
//
// Invariants
//   a G is in a pool or a P's cache  =>  state idle; it may be given any task of its size
//   a G is trimmed                   =>  its slot went back to the stack space and the G is no more

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>

#include "base/intrusive_queue.h"
#include "memory/stack_space.h"
#include "platform/lock.h"
#include "sched/g.h"

namespace runnel::sched {

// Where the G lies in its slot: at the top, shifted by the slot's colour so that the Gs and first frames
// of different goroutines fall into different cache sets.
g* place_g(const memory::stack_slot& slot) noexcept;

class g_pool {
 public:
  // Moves up to `count` idle Gs of that slot size to `out`; false: there is none.
  bool take(std::size_t slot_size, std::size_t count,
            base::intrusive_queue<runnable>& out) noexcept;

  // A new one. nullptr: no memory for its stack.
  g* create(std::size_t slot_size) noexcept;

  void give(base::intrusive_queue<runnable>& gs) noexcept;
  void give(g* one) noexcept;

  // Releases stacks that nobody needed since the last call: for every size half of the Gs that lay idle
  // all the time, beyond `keep`. Returns how many.
  std::size_t trim(std::size_t keep) noexcept;

  // Calls visit(g&) for every G that may be at work. For dumps; see stack_space::for_each_slot.
  template <class Visit>
  void for_each(Visit visit) noexcept {
    for (auto& cell : pools_) {
      size_pool* pool = cell.load(std::memory_order_acquire);
      if (pool == nullptr) continue;
      pool->space.for_each_slot([&](const memory::stack_slot& slot) {
        g& one = *place_g(slot);
        if (one.state.load(std::memory_order_acquire) != g_state::idle) visit(one);
      });
    }
  }

  // The same step by step: the next G that may be at work, after looking at no more than `looks` slots. nullptr: looks
  // is 0, or that was the last.
  struct cursor {
    std::size_t pool = 0;
    std::size_t slot = 0;
  };
  g* next(cursor& at, std::size_t& looks) noexcept;

  // Calls visit(space) for the stacks of every size.
  template <class Visit>
  void for_each_space(Visit visit) const noexcept {
    for (auto& cell : pools_) {
      if (const size_pool* pool = cell.load(std::memory_order_acquire)) visit(pool->space);
    }
  }

 private:
  struct size_pool {
    explicit size_pool(std::size_t slot_size) noexcept : space(slot_size) {}
    memory::stack_space space;
    platform::lock lock;
    base::intrusive_queue<runnable> idle;
    std::size_t least_idle = 0;  // since the last trim
  };
  size_pool* pool_for(std::size_t slot_size) noexcept;

  std::array<std::atomic<size_pool*>, 48> pools_{};
};

}  // namespace runnel::sched
