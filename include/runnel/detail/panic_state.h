#pragma once
// Where a goroutine's panics are found. Not for programs.

namespace runnel {

class defer_stack;

namespace detail {

struct panic_record;

// Of a goroutine, or a plain thread: its funcs that have begun, innermost first, and the panics under way, newest first.
struct panic_state {
  defer_stack* innermost = nullptr;
  panic_record* newest = nullptr;
};
panic_state& current_panic_state() noexcept;

}  // namespace detail
}  // namespace runnel
