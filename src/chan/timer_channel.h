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
//   queued, and not in flight      =>  the callback is in a heap, and somebody is in the queue of receivers, who holds
//                                      the channel
//   a live receiver in the queue, when != never  =>  queued
//   in flight (the callback was claimed and has not run)  =>  queued, and the callback holds a reference
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
  bool queued = false;
  std::uint32_t queued_in = 0;  // the run in which it was: with the run, timers are forgotten

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
  bool take_due_value_locked(std::int64_t& value) noexcept;
  static void* claim(poll::timer_node& node) noexcept;
  static void fire(sched::m& self, sched::timer_callback& it) noexcept;
};

}  // namespace runnel::detail
