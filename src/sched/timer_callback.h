#pragma once
// A timer that runs a piece of the runtime instead of waking a goroutine: it sends to a channel, or starts a
// goroutine.
//
// The callback runs in the scheduling loop, on a thread's own stack, with a P and no lock held; never while a
// goroutine is being suspended, because that goroutine may still hold, until it is off its stack, the very lock that
// the callback needs. Callbacks found due at such a moment wait in their P's list, and the M goes to its loop.
//
// Invariants
//   a P's list of due callbacks is not empty  =>  its M is on its way to the loop, and runs them before it gives the
//                                                 P up
//   a callback is due  =>  whoever claimed it (node.claim, under the heap's lock) has seen to it that its memory stays
//
// Callbacks neither wait nor call user code.

#include <atomic>
#include <cstdint>

#include "poll/timer_heap.h"
#include "sched/m.h"

namespace runnel::sched {

struct timer_callback {
  poll::timer_node node;
  timer_callback* next_due = nullptr;
  // With node.owns_itself it holds a reference to itself while in a heap. When the heaps are emptied at the end of a run,
  // that stays, and the callback reachable from the runtime, as everything of goroutines that stop.
  timer_callback* next_dropped = nullptr;
  std::atomic<bool> dropped{false};
  void (*call)(m& self, timer_callback& it) noexcept = nullptr;
};

// What node.claim returns for a callback: a token that is no goroutine.
inline void* token_of(timer_callback& it) noexcept {
  return reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(&it) | 1);
}

// Puts it into the heap of `self`'s P, or, from a plain thread, of the first P; cancellable. It fires only while a
// run is under way, and is forgotten when the run ends.
void add_callback(m* self, timer_callback& it, std::int64_t when) noexcept;
// True: it will not be called. False: it is not in a heap; its call may be under way.
inline bool remove_callback(timer_callback& it) noexcept {
  return poll::timer_heap::remove(it.node);
}

void run_due_callbacks(m& self) noexcept;

// What the heaps show when they are emptied; under the runtime's lock.
void note_dropped_locked(poll::timer_node& node) noexcept;
// True: it was dropped, and now belongs to the caller. False: it was not, or somebody else has called.
bool take_dropped(timer_callback& it) noexcept;

}  // namespace runnel::sched
