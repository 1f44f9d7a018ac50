#pragma once
// Machine contexts: what a goroutine is while it does not run, a stack pointer.
//
// Invariants
//   a context is suspended        =>  its registers lie on its stack at the saved pointer
//   a context is resumed once     =>  nobody resumes it again before it is saved anew
//   entry(argument, value) runs   =>  it never returns
//
// The layout belongs to context_<machine>.S; both sides state it.

#include <cstddef>
#include <cstdint>

extern "C" {
void* runnel_context_switch(void** save, void* load, void* value) noexcept;
void runnel_context_entry() noexcept;
}

namespace runnel::platform {

using entry_function = void (*)(void* argument, void* value);

// Suspends the running context into `save` and resumes `load`. Returns, once somebody resumes this
// context, the value that they passed.
inline void* switch_context(void*& save, void* load, void* value) noexcept {
  return runnel_context_switch(&save, load, value);
}

// Bytes below a new context's top that are never those of what the entry function calls: there lies first the context, and
// then the entry function's frame, which on aarch64 may be smaller than that.
#if defined(__x86_64__)
inline constexpr std::size_t entry_frame_size = 72;
#elif defined(__aarch64__)
inline constexpr std::size_t entry_frame_size = 0;
#endif

// Lays out a context below `top` (16-byte aligned) that, when first resumed, calls
// entry(argument, value passed to the switch). Returns the context.
inline void* make_context(void* top, entry_function entry, void* argument) noexcept {
  auto* frame = static_cast<std::uintptr_t*>(top);
#if defined(__x86_64__)
  // rbp rbx r12 r13 r14 r15 address, and two words: the entry must see an aligned stack.
  frame -= 9;
  frame[0] = 0;
  frame[1] = 0;
  frame[2] = reinterpret_cast<std::uintptr_t>(entry);
  frame[3] = reinterpret_cast<std::uintptr_t>(argument);
  frame[4] = 0;
  frame[5] = 0;
  frame[6] = reinterpret_cast<std::uintptr_t>(&runnel_context_entry);
  frame[7] = 0;
  frame[8] = 0;
#elif defined(__aarch64__)
  frame -= 20;
  for (int i = 0; i < 20; ++i) frame[i] = 0;
  frame[0] = reinterpret_cast<std::uintptr_t>(entry);
  frame[1] = reinterpret_cast<std::uintptr_t>(argument);
  frame[11] = reinterpret_cast<std::uintptr_t>(&runnel_context_entry);
#else
#error "runnel runs on x86-64 and aarch64"
#endif
  return frame;
}

}  // namespace runnel::platform
