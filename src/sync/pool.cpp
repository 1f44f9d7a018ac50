// runnel::pool: a lane of values per P, and a stack of victims.
//
// A lane's private lists belong to whoever has the P, in zone runtime; they are worked on without a locked
// instruction. What exceeds them goes to the lane's shared stack, from which everybody steals under a spin bit.
//
// Aging follows sysmon's house-keepings. Sysmon only counts them: values are the user's, and their destructors must not
// run on its thread, nor in the runtime. The first call of a pool after a house-keeping does the work: it takes
// every list, also the private ones of other Ps, and destroys what it drops when it has left the runtime. To get at
// the private lists it claims the lanes, as a P is claimed (sched/handshake.h):
//
//      owner of the P                          who ages
//      busy := 1                               claim := claim | claiming
//      light fence                             heavy fence
//      read claim: not ours? busy := 0         wait until busy == 0
//
// Invariants
//   by the fences, the owner sees the claim or the other sees it busy, or both
//   busy and no claim seen   =>  the private lists are the owner's
//   claiming and not busy    =>  they are his who ages
//   aging_                   =>  one who ages, and it alone claims lanes, or takes all of victims_
//   a node is in one list, or with the one caller who took it
//   in the busy section, and under a spin bit: no user code, no waiting
// Pairings
//   busy release (end)      ->  busy acquire (age): the private lists
//   claim release (age)     ->  claim acquire (begin): the same, backwards
//   a spin bit's, for the shared stacks; from one owner of a P to the next, the scheduler's
// Where the kernel has no membarrier, the claim word keeps the bit `fenced`, and the owner makes the full fence.

#include "runnel/sync/pool.h"

#include <mutex>
#include <new>

#include "base/backoff.h"
#include "base/sync_policy.h"
#include "platform/membarrier.h"
#include "sched/switch.h"

namespace runnel::detail {
namespace {

constexpr std::uint32_t private_max = 16;
constexpr std::uint32_t batch = 8;  // between a private list and the shared stack

enum claim_bits : std::uint32_t { claiming = 1, fenced = 2 };

pool_node* pop(pool_node*& list) noexcept {
  pool_node* n = list;
  if (n != nullptr) list = n->next;
  return n;
}

void push(pool_node*& list, pool_node* n) noexcept {
  n->next = list;
  list = n;
}

// Moves all of `from` in front of `to`.
void splice(pool_node*& to, pool_node* from) noexcept {
  while (pool_node* n = pop(from)) push(to, n);
}

}  // namespace

struct alignas(64) pool_core::lane {
  std::atomic<std::uint32_t> busy{0};
  std::atomic<std::uint32_t> claim{0};
  pool_node* full = nullptr;
  pool_node* spare = nullptr;
  std::uint32_t full_count = 0;
  std::uint32_t spare_count = 0;

  alignas(64) shared_stack shared;

  bool begin() noexcept {
    busy.store(1, std::memory_order_relaxed);
    base::hardware::light_fence();
    std::uint32_t c = claim.load(std::memory_order_acquire);
    if (c == 0) [[likely]]
      return true;
    if (c == fenced) {
      base::hardware::fence();
      if (claim.load(std::memory_order_acquire) == fenced) return true;
    }
    end();
    return false;
  }
  void end() noexcept { busy.store(0, std::memory_order_release); }
};

// The private parts, for this file.
struct pool_internals {
  using lane = pool_core::lane;
  using shared_stack = pool_core::shared_stack;

  static lane* lane_of(pool_core& c, int p) noexcept {
    lane* block = c.lanes_[p / pool_core::lanes_per_block].load(std::memory_order_acquire);
    return block != nullptr ? block + p % pool_core::lanes_per_block : nullptr;
  }

  // In user code: makes the lanes. No memory: the caller does without.
  static void make_lanes(pool_core& c, int p) noexcept {
    auto* block = new (std::nothrow) lane[pool_core::lanes_per_block];
    if (block == nullptr) return;
    if (!platform::asymmetric_fences()) {
      for (int i = 0; i < pool_core::lanes_per_block; ++i) block[i].claim = fenced;
    }
    lane* none = nullptr;
    auto& place = c.lanes_[p / pool_core::lanes_per_block];
    if (!place.compare_exchange_strong(none, block, std::memory_order_acq_rel)) delete[] block;
  }

  // Into the runtime, with the lane of our P: nullptr on a plain thread, or if there is no memory for it.
  static sched::m* enter(pool_core& c, lane*& mine) noexcept {
    mine = nullptr;
    sched::m* self = sched::enter();
    if (self == nullptr) return nullptr;
    mine = lane_of(c, self->processor->number);
    if (mine == nullptr) [[unlikely]] {
      int p = self->processor->number;
      sched::leave(self);
      make_lanes(c, p);
      self = sched::enter();
      mine = lane_of(c, self->processor->number);
    }
    return self;
  }
  static void leave(sched::m* self) noexcept {
    if (self != nullptr) sched::leave(self);
  }

  static void add(shared_stack& s, pool_node* list, std::uint32_t count) noexcept {
    std::lock_guard hold(s.lock);
    splice(s.top, list);
    s.count.store(s.count.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
  }
  // At most `most`; `count`: how many.
  static pool_node* remove(shared_stack& s, std::uint32_t most, std::uint32_t& count) noexcept {
    count = 0;
    if (s.count.load(std::memory_order_relaxed) == 0) return nullptr;
    pool_node* list = nullptr;
    std::lock_guard hold(s.lock);
    while (count < most && s.top != nullptr) {
      push(list, pop(s.top));
      ++count;
    }
    s.count.store(s.count.load(std::memory_order_relaxed) - count, std::memory_order_relaxed);
    return list;
  }
  static pool_node* remove_all(shared_stack& s, std::uint32_t& count) noexcept {
    std::lock_guard hold(s.lock);
    count = s.count.exchange(0, std::memory_order_relaxed);
    return std::exchange(s.top, nullptr);
  }

  static pool_node* refill(pool_core& c, lane* mine) noexcept;
  static pool_node* steal(pool_core& c, int begin_at) noexcept;
  static void age(pool_core& c) noexcept;

  template <class F>
  static void each_lane(pool_core& c, F f) {
    for (auto& place : c.lanes_) {
      lane* block = place.load(std::memory_order_acquire);
      for (int i = 0; block != nullptr && i < pool_core::lanes_per_block; ++i) f(block[i]);
    }
  }
};

// From our own shared stack: one to return, the others for the private list.
pool_node* pool_internals::refill(pool_core& c, lane* mine) noexcept {
  std::uint32_t count;
  pool_node* list = remove(mine->shared, batch, count);
  pool_node* n = pop(list);
  if (list == nullptr) return n;
  if (mine->begin()) {
    splice(mine->full, list);
    mine->full_count += count - 1;
    mine->end();
  } else {
    add(c.outside_, list, count - 1);
  }
  return n;
}

pool_node* pool_internals::steal(pool_core& c, int begin_at) noexcept {
  std::uint32_t count;
  int ps = sched::rt().p_made.load(std::memory_order_relaxed);
  for (int i = 0; i < ps; ++i) {
    lane* other = lane_of(c, (begin_at + i) % ps);
    if (other == nullptr) continue;
    if (pool_node* n = remove(other->shared, 1, count)) return n;
  }
  if (pool_node* n = remove(c.outside_, 1, count)) return n;
  return remove(c.victims_, 1, count);
}

void pool_internals::age(pool_core& c) noexcept {
  if (c.aging_.exchange(true, std::memory_order_acquire)) return;  // another does it
  sched::m* self = sched::enter();
  std::uint32_t now = sched::rt().house_keepings.load(std::memory_order_relaxed);
  std::uint32_t passed = now - c.aged_.load(std::memory_order_relaxed);
  pool_node* dropped = nullptr;
  pool_node* spare = nullptr;
  if (passed != 0) {
    std::uint32_t count;
    pool_node* kept = nullptr;
    std::uint32_t kept_count = 0;
    dropped = remove_all(c.victims_, count);
    each_lane(c, [](lane& l) { l.claim.fetch_or(claiming, std::memory_order_relaxed); });
    base::hardware::heavy_fence();
    each_lane(c, [&](lane& l) {
      base::backoff backoff;
      while (l.busy.load(std::memory_order_acquire) != 0) backoff.wait();
      splice(kept, std::exchange(l.full, nullptr));
      splice(spare, std::exchange(l.spare, nullptr));
      kept_count += std::exchange(l.full_count, 0);
      l.spare_count = 0;
      l.claim.fetch_and(~std::uint32_t{claiming}, std::memory_order_release);
      splice(kept, remove_all(l.shared, count));
      kept_count += count;
    });
    splice(kept, remove_all(c.outside_, count));
    kept_count += count;
    if (passed == 1) {
      add(c.victims_, kept, kept_count);
    } else {
      splice(dropped, kept);
    }
    c.aged_.store(now, std::memory_order_relaxed);
  }
  c.aging_.store(false, std::memory_order_release);
  leave(self);
  while (pool_node* n = pop(dropped)) c.destroy_(n);
  while (pool_node* n = pop(spare)) c.dispose_(n);
}

pool_core::~pool_core() {
  auto end_all = [](pool_node* list, end_node end) {
    while (pool_node* n = pop(list)) end(n);
  };
  pool_internals::each_lane(*this, [&](lane& l) {
    end_all(l.full, destroy_);
    end_all(l.spare, dispose_);
    end_all(l.shared.top, destroy_);
  });
  end_all(outside_.top, destroy_);
  end_all(victims_.top, destroy_);
  for (auto& place : lanes_) delete[] place.load(std::memory_order_relaxed);
}

pool_node* pool_core::take() {
  if (aged_.load(std::memory_order_relaxed) !=
      sched::rt().house_keepings.load(std::memory_order_relaxed)) [[unlikely]] {
    pool_internals::age(*this);
  }
  lane* mine;
  sched::m* self = pool_internals::enter(*this, mine);
  pool_node* n = nullptr;
  if (mine != nullptr) {
    if (mine->begin()) {
      n = pop(mine->full);
      if (n != nullptr) --mine->full_count;
      mine->end();
    }
    if (n == nullptr) n = pool_internals::refill(*this, mine);
  }
  if (n == nullptr) {
    n = pool_internals::steal(*this, self != nullptr ? self->processor->number + 1 : 0);
  }
  pool_internals::leave(self);
  return n;
}

void pool_core::give(pool_node* full) noexcept {
  if (aged_.load(std::memory_order_relaxed) !=
      sched::rt().house_keepings.load(std::memory_order_relaxed)) [[unlikely]] {
    pool_internals::age(*this);
  }
  full->next = nullptr;
  lane* mine;
  sched::m* self = pool_internals::enter(*this, mine);
  if (mine == nullptr || !mine->begin()) {
    pool_internals::add(outside_, full, 1);
  } else {
    push(mine->full, full);
    pool_node* surplus = nullptr;
    if (++mine->full_count > private_max) {
      for (std::uint32_t i = 0; i < batch; ++i) push(surplus, pop(mine->full));
      mine->full_count -= batch;
    }
    mine->end();
    if (surplus != nullptr) pool_internals::add(mine->shared, surplus, batch);
  }
  pool_internals::leave(self);
}

pool_node* pool_core::take_spare() noexcept {
  lane* mine;
  sched::m* self = pool_internals::enter(*this, mine);
  pool_node* n = nullptr;
  if (mine != nullptr && mine->begin()) {
    n = pop(mine->spare);
    if (n != nullptr) --mine->spare_count;
    mine->end();
  }
  pool_internals::leave(self);
  return n;
}

void pool_core::give_spare(pool_node* spare) noexcept {
  lane* mine;
  sched::m* self = pool_internals::enter(*this, mine);
  if (mine != nullptr && mine->begin()) {
    if (mine->spare_count < private_max) {
      push(mine->spare, spare);
      ++mine->spare_count;
      spare = nullptr;
    }
    mine->end();
  }
  pool_internals::leave(self);
  if (spare != nullptr) dispose_(spare);
}

}  // namespace runnel::detail
