// runnel::once: one word, and the queue in the object.
//
//   fresh -> running -> done, each once; `guard` and `waiters` only while running
//   guard    held for some instructions, by whoever works on the list
//   waiters  the list is not empty or about to be filled
//
// Invariants
//   the word is done  =>  nobody waits and nobody touches the object
//   a waiter in the list  =>  running: end() has yet to come for the guard
// A once whose function belongs to a run that is over stays running, as a mutex stays locked.
// Pairing: the release that stores done, with the acquire that reads it or the waker's hand-over.

#include "runnel/sync/once.h"

#include "base/backoff.h"
#include "runnel/detail/run.h"
#include "runnel/panic.h"
#include "wait/waiter.h"

namespace runnel {

struct once_internals {
  static void release_guard(void* object) noexcept {
    static_cast<once*>(object)->state_.fetch_and(~std::uint32_t{once::guard},
                                                 std::memory_order_release);
  }
};

// True: the caller is the one to run the function. False: it has been run.
bool once::begin() noexcept {
  std::uint32_t s = fresh;
  if (state_.compare_exchange_strong(s, running, std::memory_order_acquire,
                                     std::memory_order_acquire)) {
    return true;
  }
  if (s == done) return false;
  sched::m* self = sched::enter();
  base::backoff backoff;
  while (s != done) {
    if ((s & guard) != 0) {
      backoff.wait();
      s = state_.load(std::memory_order_acquire);
      continue;
    }
    if (!state_.compare_exchange_weak(s, s | guard | waiters, std::memory_order_acquire,
                                      std::memory_order_acquire)) {
      continue;
    }
    wait::waiter me(self);
    waiting_.push_back(me);
    self = wait::block(self, me, sched::wait_reason::once_call,
                       {&once_internals::release_guard, this});
    break;
  }
  if (self != nullptr) sched::leave(self);
  return false;
}

void once::end() noexcept {
  std::uint32_t s = running;
  if (state_.compare_exchange_strong(s, done, std::memory_order_release,
                                     std::memory_order_relaxed)) {
    return;
  }
  sched::m* self = sched::enter();
  base::backoff backoff;
  for (;;) {
    if ((s & guard) != 0) {
      backoff.wait();
      s = state_.load(std::memory_order_relaxed);
    } else if (state_.compare_exchange_weak(s, s | guard, std::memory_order_acquire,
                                            std::memory_order_relaxed)) {
      break;
    }
  }
  detail::wait_list woken = waiting_;
  state_.store(done, std::memory_order_release);
  // The object may be gone by now; those who wait are not.
  while (wait::waiter* w = woken.pop_live()) wait::wake(self, *w);
  if (self != nullptr) sched::leave(self);
}

namespace detail {

std::exception_ptr once_error(std::exception_ptr thrown) {
  if (!is_goexit(thrown)) return thrown;
  return std::make_exception_ptr(runtime_error("sync: the function of once_func called goexit"));
}

}  // namespace detail
}  // namespace runnel
