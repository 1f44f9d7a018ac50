#pragma once
// A waiter: one goroutine or one plain thread that waits for something, on its own stack.
//
// Lists of waiters belong to the object waited for and have its guard: a bit of its state word or a lock.
//
// Invariants
//   linked in a list         =>  the guard protects `next` and `prev`
//   taken out by a waker     =>  the waker, and it alone, calls wake() or try_wake(), once
//   wake() was called        =>  the waiter may be gone at once: read what you need before
//   a waiter with a deadline leaves by `outcome`, which changes once: pending -> signalled | timed_out
// The waiter's thread is in the runtime (enter) from before it takes the guard until block() has returned.

#include <atomic>
#include <cstdint>

#include "platform/parker.h"
#include "poll/timer_heap.h"
#include "runnel/detail/wait_list.h"
#include "sched/switch.h"

namespace runnel::wait {

enum class outcome : std::uint32_t { pending, signalled, timed_out };

struct waiter {
  explicit waiter(sched::m* self) noexcept : gp(self != nullptr ? self->current : nullptr) {}

  waiter* next = nullptr;
  waiter* prev = nullptr;
  sched::g* const gp;  // nullptr: a plain thread
  std::atomic<outcome> how{outcome::pending};
  bool linked() const noexcept { return next != nullptr; }
  void* won = nullptr;      // of several things waited for: which one, set by who claimed it
  bool handed = false;      // for the object waited for: ownership came with the wake-up
  platform::parker parked;  // of a plain thread

  // Of a run that is over: nobody will ever answer. To be dropped from lists.
  bool frozen() const noexcept { return gp != nullptr && sched::is_frozen(*gp); }
};

// How a guard is released, once the waiter is off its stack.
struct release {
  void (*call)(void* object) noexcept;
  void* object;
};

// Releases the guard and waits for wake(). Returns the M to continue with (nullptr on a plain thread).
sched::m* block(sched::m* self, waiter& w, sched::wait_reason why, release unguard) noexcept;

// The same until the deadline (nanotime): afterwards w.how tells. One that has timed out takes the guard and
// unlinks itself, if no waker has.
sched::m* block_until(sched::m* self, waiter& w, sched::wait_reason why, release unguard,
                      std::int64_t deadline) noexcept;

// Wakes a waiter without a deadline that has been taken out of its list.
void wake(sched::m* self, waiter& w) noexcept;

// Under the guard, of a waiter with a deadline that has been taken out of its list: true, and it is ours to wake();
// false, its deadline was faster, and it must not be touched once the guard is released.
bool claim(waiter& w) noexcept;

// Sleeps until the deadline.
void sleep_until(std::int64_t deadline) noexcept;

}  // namespace runnel::wait
