#pragma once
// A thread's stack for signal handlers: a handler can then tell what happened on a stack that has no room left.

#include <cstddef>

namespace runnel::platform {

// The calling thread's while it lives; committed as it is touched, with a guard below where guards are cheap. A thread
// that has one already, as sanitizers see to, keeps it. Out of memory, there is none.
class signal_stack {
 public:
  static constexpr std::size_t size_min = 128 << 10;

  signal_stack() noexcept;
  ~signal_stack();  // on the same thread
  signal_stack(const signal_stack&) = delete;
  signal_stack& operator=(const signal_stack&) = delete;

 private:
  void* begin_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace runnel::platform
