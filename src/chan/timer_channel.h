#pragma once
// Channels of timers and tickers, with the rules of Go 1.23.
//
// Such a channel is evaluated lazily: its timer is in a heap only while somebody waits to receive. Who looks without
// waiting finds out by the clock whether a value is due. So a timer that nobody waits for costs its memory and
// nothing else, and it goes when its handles go.
//
// The ring has room for one value, but the channel looks unbuffered (len and cap are 0), and stop and reset empty it:
// no value of before is received after.
//
// Invariants, under the channel's lock
//   when == never                  =>  nothing will be sent
//   in a heap (node.home is set)   =>  somebody waits to receive, who holds the channel; or is on the way out
//   somebody waits, when != never  =>  in a heap, or in flight
//   in flight: the callback was claimed, under the heap's lock, and has not run; it holds a reference. Set before the
//   node leaves the heap, so who finds node.home null sees it
// When a run ends, heaps are emptied; goroutines of that run that lie in the queue do not wait: they are dropped by whoever
// asks (somebody_waits_locked).
// Lock order: channel -> timer heap. `when` may be read without the lock, as a hint.

#include <atomic>
#include <cstdint>

#include "chan/channel.h"
#include "runnel/detail/timer.h"
#include "sched/timer_callback.h"

namespace runnel::detail {

struct timer_core {
  timer_core(channel& owner, std::int64_t when, std::int64_t period) noexcept;

  sched::timer_callback callback;  // first: the core is found from it
  channel& owner;
  std::atomic<std::int64_t> when;
  std::int64_t period;  // 0: once
  std::atomic<bool> in_flight{false};

  bool due() const noexcept {
    std::int64_t w = when.load(std::memory_order_relaxed);
    return w != platform::time_never && w <= platform::nanotime();
  }

  // All under the lock. Puts a value that is due into the ring; with nobody else in the queue of receivers.
  void catch_up_locked() noexcept;
  // Somebody has joined the queue of receivers, or the time was set.
  void begin_wait_locked(sched::m* self) noexcept;
  // Somebody has left it without a value, or the timer was stopped.
  void end_wait_locked() noexcept;
  // Sets the time anew; never: stops. True: a value was yet to come or to be received.
  bool set_locked(sched::m* self, std::int64_t new_when, std::int64_t new_period) noexcept;

 private:
  bool in_heap() const noexcept {
    return callback.node.home.load(std::memory_order_acquire) != nullptr;
  }
  bool take_due_value_locked(std::int64_t& value) noexcept;
  static void* claim(poll::timer_node& node) noexcept;
  static void fire(sched::m& self, sched::timer_callback& it) noexcept;
};

}  // namespace runnel::detail
