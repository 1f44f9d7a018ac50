#pragma once
// A P's timers: a 4-ary min-heap on deadlines, and beside it a few lanes for those that come in order. It knows
// times and nodes, no goroutine.
//
// A node is its waiter's memory and must outlive its stay in the heap. Due nodes are claimed while the heap
// is locked, and remove() takes the same lock: when it returns, nobody touches the node any more.
//
// Invariants
//   node in heap h           =>  node.home == h
//   ... and is cancellable   =>  h.entries_[node.index].node() == node: only others may be in a lane
//   node not in any heap     =>  node.home == nullptr
//   next() == t              =>  t was the least deadline after the last change, time_never if empty
// next() may be read without the lock; it is stored before the lock is released.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "platform/clock.h"
#include "platform/lock.h"
#include "poll/timer_lane.h"

namespace runnel::poll {

class timer_heap;

struct timer_node {
  std::int64_t when = 0;  // nanoseconds of the monotonic clock
  // Called under the heap's lock when the deadline has passed and the node has left the heap. Returns a
  // token to hand back to the scheduler, or nullptr if somebody else was faster.
  void* (*claim)(timer_node&) noexcept = nullptr;
  std::atomic<timer_heap*> home{nullptr};
  std::size_t index =
      0;  // kept for cancellable nodes only: others need not be touched while they move
  bool cancellable = false;  // constant while in a heap
  bool owns_itself = false;  // to be shown when the heap is emptied
};

class timer_heap {
 public:
  static constexpr std::size_t take_max = 128;

  std::int64_t next() const noexcept { return next_.load(std::memory_order_relaxed); }

  // True if the node became the earliest.
  bool add(timer_node& node) noexcept;

  // Claims nodes due at `now`, at most tokens.size(), itself at most take_max; returns how many tokens were
  // stored.
  std::size_t take_due(std::int64_t now, std::span<void*> tokens) noexcept;

  // Moves every timer into `into`. Both heaps' users are stopped.
  void move_all(timer_heap& into) noexcept;
  // Forgets every timer: their goroutines will never run again. Those that own themselves are shown.
  void drop_all(void (*dropped)(timer_node&) noexcept = nullptr) noexcept;
  std::size_t size() noexcept;

  // For looking at the timers while those may stand still who could hold the lock: it is taken before.
  platform::lock& guard() noexcept { return lock_; }
  template <class Visit>
  void for_each_locked(Visit visit) const noexcept {
    for (const entry& e : entries_) visit(*e.node());
    for (const timer_lane& lane : lanes_) lane.for_each(visit);
  }

  // Removes a cancellable node from whichever heap it is in. False: it had left already.
  static bool remove(timer_node& node) noexcept;

 private:
  // The low bit of the pointer repeats node.cancellable.
  struct entry {
    std::int64_t when;
    std::uintptr_t tagged;

    timer_node* node() const noexcept {
      return reinterpret_cast<timer_node*>(tagged & ~std::uintptr_t{1});
    }
    bool cancellable() const noexcept { return (tagged & 1) != 0; }
  };

  void place_locked(std::size_t i, const entry& e) noexcept;
  void sift_up_locked(std::size_t i, entry e) noexcept;
  void sift_down_locked(std::size_t i, entry e) noexcept;
  void erase_locked(std::size_t i) noexcept;
  void insert_locked(timer_node& node);
  timer_node* pop_due_locked(std::int64_t now) noexcept;
  std::int64_t earliest_locked() const noexcept;
  void publish_locked() noexcept;

  static constexpr std::size_t lanes_max = 4;

  std::atomic<std::int64_t> next_{platform::time_never};
  platform::lock lock_;
  std::vector<entry> entries_;
  std::array<timer_lane, lanes_max> lanes_;
};

}  // namespace runnel::poll
