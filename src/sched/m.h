#pragma once
// M: an operating-system thread of the runtime.
//
// An M runs a goroutine, or its own scheduling loop on the thread's stack (`own`). It needs a P for
// everything but user code that has lost its P.
//
// Invariants
//   current == nullptr            =>  the M is in its scheduling loop, zone runtime
//   processor != nullptr and the claim word is 0  =>  the P's owner is this M
//   post.action != nullptr        =>  a switch is under way: whoever continues on this M runs it first
// All fields belong to the M's thread, except: handshake (its own protocol); next_p, spinning, next_idle (under
// the runtime's lock, while the M is idle); parked.

#include <atomic>
#include <cstdint>

#include "base/random.h"
#include "base/sync_policy.h"
#include "platform/exceptions.h"
#include "platform/parker.h"
#include "platform/stack_walk.h"
#include "sched/g.h"
#include "sched/handshake.h"
#include "sched/interrupt.h"

namespace runnel::sched {

struct p;

// Runs on the next execution of the M, when `left` is off its stack and may be published.
struct post_switch {
  void (*action)(m& self, g* left, void* argument) = nullptr;
  g* left = nullptr;
  void* argument = nullptr;
};

// The stack of a thread on which no user's code ever runs, without the thread-locals that lie above its first frame.
struct thread_frames {
  const void* lowest = nullptr;
  const void* end = nullptr;

  bool contain(std::uintptr_t address) const noexcept {
    return address >= reinterpret_cast<std::uintptr_t>(lowest) &&
           address < reinterpret_cast<std::uintptr_t>(end);
  }
};

struct alignas(64) m {
  explicit m(int number) noexcept
      : number(number), rng(0x853c49e6748fea9bull * static_cast<std::uint64_t>(number + 1)) {}

  // As `current`, where others may read or write it at the same time: an M without a P ends there while somebody looks
  // (survey.h).
  g* look_at_current() noexcept { return std::atomic_ref(current).load(std::memory_order_relaxed); }
  void runs(g* it) noexcept { std::atomic_ref(current).store(it, std::memory_order_relaxed); }
  void run_nothing() noexcept { runs(nullptr); }

  handshake<base::hardware> shake;
  p* processor = nullptr;
  g* current = nullptr;
  int pinned = 0;  // user code that the runtime calls while it holds a lock: see pin in switch.h
  bool moving = false;  // an element of a channel, likewise
  post_switch post;
  platform::registers
      blocked_at{};  // where the goroutine went into blocking(): for a look at its stack
  platform::exception_state* exceptions = nullptr;  // the thread's
  execution own;
  thread_frames frames;  // of `own`

  const int number;
  std::atomic<int> tid{0};
  base::random rng;
  bool spinning = false;
  bool exit_thread = false;     // a locked goroutine ended: its thread ends too
  runnable* pending = nullptr;  // to run next, before any search
  g* locked_g = nullptr;        // lock_os_thread: runs nothing else

  interruption interrupted;  // for a look at the stack of what runs here

  // Idle. To be woken by wake(): it may wait in the poller instead of on its futex.
  platform::parker parked;
  std::atomic<bool> in_poller{false};
  p* next_p = nullptr;  // handed over with the wake-up
  m* next_idle = nullptr;
  m* next_all = nullptr;
  std::atomic<bool> dead{false};  // its thread has ended; the object may serve a new one
};

}  // namespace runnel::sched
