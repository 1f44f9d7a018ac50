#pragma once
// A context with a stack of its own and the sanitizers told of it: what the context tests switch between.

#include <gtest/gtest.h>

#include <cstddef>

#include "platform/address_space.h"
#include "platform/context.h"
#include "platform/sanitizer.h"
#include "platform/thread.h"

namespace test {

namespace platform = runnel::platform;

struct strand {
  static constexpr std::size_t stack_size = 512 << 10;

  // The calling thread's own.
  strand() {
    platform::stack_bounds bounds = platform::current_thread_stack();
    sanitizer.adopt_thread(bounds.lowest, bounds.size);
  }
  // A new one that begins in `entry`, which calls begin() first and never returns.
  explicit strand(platform::entry_function entry, void* argument = nullptr)
      : stack(static_cast<char*>(platform::reserve(stack_size, 4096))) {
    sanitizer.create(stack, stack_size);
    sp = platform::make_context(stack + stack_size, entry, argument);
  }
  ~strand() {
    if (stack == nullptr) return;
    sanitizer.destroy();
    platform::unreserve(stack, stack_size);
  }
  strand(const strand&) = delete;
  strand& operator=(const strand&) = delete;

  void begin() { sanitizer.after_switch(); }

  // From this strand, which runs, to another. Returns what is passed back.
  void* switch_to(strand& to, void* value = nullptr) {
    sanitizer.before_switch(to.sanitizer);
    void* passed = platform::switch_context(sp, to.sp, value);
    sanitizer.after_switch();
    return passed;
  }

  char* stack = nullptr;
  void* sp = nullptr;
  platform::sanitizer_stack sanitizer;
};

// A pair: the test's own strand and one that runs `body`.
struct strands {
  explicit strands(void (*body)(strands&)) : other(&entry, this), body_(body) {}

  void* resume(void* value = nullptr) { return self.switch_to(other, value); }
  void* yield(void* value = nullptr) { return other.switch_to(self, value); }

  strand self;
  strand other;
  void* first_value = nullptr;  // what the first resume() passed
  bool ended = false;

 private:
  static void entry(void* argument, void* value) {
    auto& both = *static_cast<strands*>(argument);
    both.other.begin();
    both.first_value = value;
    both.body_(both);
    both.ended = true;
    for (;;) both.yield();
  }
  void (*body_)(strands&);
};

}  // namespace test
