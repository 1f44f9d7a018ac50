#pragma once
// Timers without their handles: what the classes of time.h call. Not for programs.

#include <chrono>
#include <cstdint>
#include <functional>
#include <utility>

#include "runnel/chan.h"
#include "runnel/detail/duration.h"

namespace runnel::detail {

// A channel that receives the time at `when`, and then every `period` if that is positive. Throws std::bad_alloc.
channel* timer_make(std::int64_t when, std::int64_t period);
// Sets it anew; no_deadline stops it. Values sent before are gone. True: one was yet to come or to be received.
bool timer_set(channel* c, std::int64_t when, std::int64_t period) noexcept;

// Finite: a time that will not come is not the same as no time.
template <class Rep, class Period>
std::int64_t timer_deadline(std::chrono::duration<Rep, Period> d) noexcept {
  std::int64_t when = deadline_after(d);
  return when == no_deadline ? no_deadline - 1 : when;
}

// The state of an after_func: counted references by its handles, and one while its time is set.
class func_timer;

// creator_pc: a return address in whoever asked for it, for reports.
func_timer* func_timer_start(std::int64_t when, std::move_only_function<void()> f,
                             void* creator_pc = nullptr);
bool func_timer_set(func_timer* t, std::int64_t when) noexcept;
void func_timer_retain(func_timer* t) noexcept;
void func_timer_release(func_timer* t) noexcept;

}  // namespace runnel::detail
