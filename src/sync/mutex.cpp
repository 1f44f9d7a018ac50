// runnel::mutex: Go's sync.Mutex with the queue in the object.
//
// One word says everything, and the last write to it is the last touch of the object: whoever finds the
// mutex free may destroy it.
//
//   locked    held
//   guard     held for some instructions, by whoever works on the list of waiters
//   waiters   the list is not empty, or the holder of guard is about to fill it
//   woken     somebody who will try to lock is awake already: unlock() need not wake another. Only in the run
//             in which it was set: the one who was woken may have been frozen with it
//   starving  some waiter has waited for longer than a millisecond: unlock() hands the lock over, and newcomers
//             queue up without trying
//
// Invariants
//   waiters clear          =>  the list is empty
//   the list is not empty and locked clear  =>  woken is set, or an unlock() is on its way to the guard
//   starving               =>  locked; the lock passes from owner to waiter without being free in between
//   a waiter was handed the lock            =>  it is locked, in the waiter's name
// Pairing: the release that clears locked (or guard, in a hand-over) with the acquire of the next owner.

#include "runnel/sync/mutex.h"

#include "base/backoff.h"
#include "base/check.h"
#include "platform/clock.h"
#include "wait/waiter.h"

namespace runnel {

// The private parts, for this file.
struct mutex_internals {
  static void release_guard(void* object) noexcept {
    static_cast<mutex*>(object)->state_.fetch_and(~std::uint32_t{mutex::guard},
                                                  std::memory_order_release);
  }
};

namespace {

constexpr std::int64_t starvation_ns = 1'000'000;
constexpr int spins_max = 4;
constexpr int pauses_per_spin = 30;

// Spinning helps only while the owner runs, which takes another processor; and while we have nothing else
// to run.
bool spinning_may_help(sched::m* self, int spins) noexcept {
  if (spins >= spins_max) return false;
  if (self == nullptr) return true;
  auto& r = sched::rt();
  int procs = r.procs.load(std::memory_order_relaxed);
  int others_busy = procs - 1 - r.gate.idle() - r.gate.spinning();
  return others_busy > 0 && self->processor->queue.empty();
}

}  // namespace

void mutex::lock_slow() {
  sched::m* self = sched::enter();
  bool awake = false;  // we hold the woken bit
  bool starved = false;
  int spins = 0;
  std::int64_t since = 0;
  base::backoff backoff;
  std::uint32_t s = state_.load(std::memory_order_relaxed);
  for (;;) {
    if ((s & (locked | starving)) == 0) {
      std::uint32_t next = s | locked;
      if (awake) next &= ~std::uint32_t{woken};
      if (state_.compare_exchange_weak(s, next, std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
        break;
      }
      continue;
    }
    // With others in the queue the lock is too contended for spinning to be worth the owner's cache misses.
    if ((s & (starving | waiters)) == 0 && spinning_may_help(self, spins)) {
      for (int i = 0; i < pauses_per_spin; ++i) base::hardware::pause();
      ++spins;
      s = state_.load(std::memory_order_relaxed);
      continue;
    }
    if ((s & guard) != 0) {
      backoff.wait();
      s = state_.load(std::memory_order_relaxed);
      continue;
    }
    std::uint32_t next = s | guard | waiters;
    if (starved) next |= starving;
    if (awake) next &= ~std::uint32_t{woken};
    if (!state_.compare_exchange_weak(s, next, std::memory_order_acquire,
                                      std::memory_order_relaxed)) {
      continue;
    }
    awake = false;
    wait::waiter me(self);
    // Who has waited before goes to the front.
    if (since != 0) {
      waiting_.push_front(me);
    } else {
      since = platform::nanotime();
      waiting_.push_back(me);
    }
    self = wait::block(self, me, sched::wait_reason::mutex_lock,
                       {&mutex_internals::release_guard, this});
    starved = starved || platform::nanotime() - since > starvation_ns;
    if (me.handed) {
      // The last one, or one who has not waited long, ends starvation: handing over is slow.
      s = state_.load(std::memory_order_relaxed);
      if (!starved || (s & waiters) == 0) {
        state_.fetch_and(~std::uint32_t{starving}, std::memory_order_relaxed);
      }
      std::atomic_signal_fence(std::memory_order_seq_cst);
      break;
    }
    awake = true;
    spins = 0;
    s = state_.load(std::memory_order_relaxed);
  }
  if (self != nullptr) sched::leave(self);
}

void mutex::unlock_slow() {
  // Contended, and somebody is awake: the common case there, and one without work for the runtime.
  std::uint32_t seen = state_.load(std::memory_order_relaxed);
  if ((seen & (locked | starving | woken)) == (locked | woken) &&
      woken_in_.load(std::memory_order_relaxed) == sched::current_epoch() &&
      state_.compare_exchange_strong(seen, seen & ~std::uint32_t{locked}, std::memory_order_release,
                                     std::memory_order_relaxed)) {
    return;
  }
  sched::m* self = sched::enter();
  base::backoff backoff;
  wait::waiter* to_wake = nullptr;
  std::uint32_t s = state_.load(std::memory_order_relaxed);
  for (;;) {
    if ((s & locked) == 0) base::fatal("sync: unlock of unlocked mutex");
    bool hand_over = (s & starving) != 0;
    bool somebody_awake =
        (s & woken) != 0 && woken_in_.load(std::memory_order_relaxed) == sched::current_epoch();
    if (!hand_over && ((s & waiters) == 0 || somebody_awake)) {
      if (state_.compare_exchange_weak(s, s & ~std::uint32_t{locked}, std::memory_order_release,
                                       std::memory_order_relaxed)) {
        break;
      }
      continue;
    }
    if ((s & guard) != 0) {
      backoff.wait();
      s = state_.load(std::memory_order_relaxed);
      continue;
    }
    if (!state_.compare_exchange_weak(s, s | guard, std::memory_order_acquire,
                                      std::memory_order_relaxed)) {
      continue;
    }
    // With the guard, and locked: nobody else changes the list, starving or waiters.
    to_wake = waiting_.pop_live();
    hand_over = hand_over && to_wake != nullptr;
    if (hand_over) to_wake->handed = true;
    woken_in_.store(sched::current_epoch(), std::memory_order_relaxed);
    std::uint32_t next;
    s = state_.load(std::memory_order_relaxed);
    do {
      next = s & ~std::uint32_t{guard};
      if (waiting_.empty()) next &= ~std::uint32_t{waiters};
      if (!hand_over) {
        next &= ~std::uint32_t{locked | starving};
        if (to_wake != nullptr) next |= woken;  // after woken_in_: release
      }
    } while (!state_.compare_exchange_weak(s, next, std::memory_order_acq_rel,
                                           std::memory_order_relaxed));
    break;
  }
  // The mutex may be gone by now; the waiter is not.
  if (to_wake != nullptr) wait::wake(self, *to_wake);
  if (self != nullptr) sched::leave(self);
}

}  // namespace runnel
