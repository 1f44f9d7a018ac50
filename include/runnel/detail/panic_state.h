#pragma once
// Where a goroutine's panics are found. Not for programs.

namespace runnel {

class defer_stack;

namespace detail {

struct panic_record;
struct panic_sighting;

// Of a goroutine, or a plain thread: its funcs that have begun, innermost first, and the panics under way, newest first;
// and the exceptions that are on their way to a func, or to run(): more than one while a destructor that one of them runs
// has such a func inside.
struct panic_state {
  defer_stack* innermost = nullptr;
  panic_record* newest = nullptr;
  panic_sighting* in_flight = nullptr;
};
panic_state& current_panic_state() noexcept;

}  // namespace detail
}  // namespace runnel
