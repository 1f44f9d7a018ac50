#pragma once
// Time for goroutines. The clock is std::chrono::steady_clock, which does not jump.
//
// Timers and tickers follow Go 1.23: their channels look unbuffered, and after stop() or reset() returns, no value
// of before is received. A timer whose handles are all gone is gone, whether it has fired or not. Timers fire while a
// run is under way, and are forgotten when it ends.

#include <chrono>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>

#include "runnel/chan.h"
#include "runnel/detail/duration.h"
#include "runnel/detail/timer.h"
#include "runnel/panic.h"

namespace runnel {

using duration = std::chrono::steady_clock::duration;
using time_point = std::chrono::steady_clock::time_point;

namespace detail {
void sleep_until(std::int64_t deadline) noexcept;
}

// Parks the goroutine for at least d. Not positive: returns at once. Any thread.
template <class Rep, class Period>
void sleep(std::chrono::duration<Rep, Period> d) {
  if (d > d.zero()) detail::sleep_until(detail::deadline_after(d));
}

// The same until t.
template <class Duration>
void sleep_until(std::chrono::time_point<std::chrono::steady_clock, Duration> t) {
  std::int64_t deadline = detail::to_nanoseconds(t.time_since_epoch());
  if (deadline > detail::now_nanoseconds()) detail::sleep_until(deadline);
}

// Sends one value, the time at which it was due, to its channel after d (time.Timer). Not positive: at once. A handle;
// copies mean the same timer. Any thread.
class timer {
 public:
  template <class Rep, class Period>
  explicit timer(std::chrono::duration<Rep, Period> d)
      : ch_(detail::chan_access::adopt<time_point>(
            detail::timer_make(detail::timer_deadline(d), 0))) {}

  // Always the same channel; nobody closes it.
  recv_chan<time_point> c() const noexcept { return ch_; }

  // True: the timer was stopped before its value was received. False: it was received, or stopped before.
  bool stop() const noexcept { return detail::timer_set(ch_.core(), detail::no_deadline, 0); }

  // Starts anew, to fire after d from now. Returns what stop() would have.
  template <class Rep, class Period>
  bool reset(std::chrono::duration<Rep, Period> d) const noexcept {
    return detail::timer_set(ch_.core(), detail::timer_deadline(d), 0);
  }

 private:
  chan<time_point> ch_;
};

// Sends the time to its channel every d, until stopped (time.Ticker). For a receiver that is too slow, ticks are
// dropped; the rhythm stays. A handle; copies mean the same ticker. Any thread.
class ticker {
 public:
  // Panics unless d is positive: "non-positive interval for NewTicker".
  template <class Rep, class Period>
  explicit ticker(std::chrono::duration<Rep, Period> d)
      : ch_(detail::chan_access::adopt<time_point>(
            detail::timer_make(detail::timer_deadline(positive(d, "NewTicker")), interval(d)))) {}

  recv_chan<time_point> c() const noexcept { return ch_; }

  // No more ticks, and none left over. The channel is not closed.
  void stop() const noexcept { detail::timer_set(ch_.core(), detail::no_deadline, 0); }

  // Stops it, and starts it with a new period. Panics unless d is positive: "non-positive interval for Ticker.Reset".
  template <class Rep, class Period>
  void reset(std::chrono::duration<Rep, Period> d) const {
    detail::timer_set(ch_.core(), detail::timer_deadline(positive(d, "Ticker.Reset")), interval(d));
  }

 private:
  template <class D>
  static D positive(D d, const char* where) {
    if (d <= d.zero()) throw runtime_error(std::string("non-positive interval for ") + where);
    return d;
  }
  template <class D>
  static std::int64_t interval(D d) noexcept {
    return detail::to_nanoseconds(d);
  }

  chan<time_point> ch_;
};

// A channel that receives the time once, after d. It leaves nothing behind once its handle is gone, fired or not. Any
// thread.
template <class Rep, class Period>
recv_chan<time_point> after(std::chrono::duration<Rep, Period> d) {
  return timer(d).c();
}

// The handle of after_func. Copies mean the same timer; when all are gone, it still fires.
class after_func_timer {
 public:
  explicit after_func_timer(detail::func_timer* owned) noexcept : timer_(owned) {}
  after_func_timer(const after_func_timer& other) noexcept : timer_(other.timer_) {
    if (timer_ != nullptr) detail::func_timer_retain(timer_);
  }
  after_func_timer(after_func_timer&& other) noexcept
      : timer_(std::exchange(other.timer_, nullptr)) {}
  after_func_timer& operator=(after_func_timer other) noexcept {
    std::swap(timer_, other.timer_);
    return *this;
  }
  ~after_func_timer() {
    if (timer_ != nullptr) detail::func_timer_release(timer_);
  }

  // True: f will not be called. False: its goroutine has been started, or it was stopped before; it is not waited for.
  bool stop() const noexcept { return detail::func_timer_set(timer_, detail::no_deadline); }

  // Calls f after d from now (again). True: it was yet to be called.
  template <class Rep, class Period>
  bool reset(std::chrono::duration<Rep, Period> d) const noexcept {
    return detail::func_timer_set(timer_, detail::timer_deadline(d));
  }

 private:
  detail::func_timer* timer_;
};

// Calls f on a goroutine of its own after d. Any thread; f may only be movable. Throws std::bad_alloc.
template <class Rep, class Period, class F>
  requires std::is_invocable_v<std::decay_t<F>&>
[[gnu::noinline]] after_func_timer after_func(std::chrono::duration<Rep, Period> d, F&& f) {
  return after_func_timer(detail::func_timer_start(detail::timer_deadline(d), std::forward<F>(f),
                                                   __builtin_return_address(0)));
}

}  // namespace runnel
