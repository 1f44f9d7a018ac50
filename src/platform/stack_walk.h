#pragma once
// Return addresses of a stack other than one's own: of a goroutine that waits, of a thread that a signal has stopped.
//
// A walk begins at a set of registers and reads the stack they belong to where it lies. It is the C++ runtime's
// unwinder that walks: an assembly frame (stack_walk_<machine>.S) tells it that its caller's registers are those of the
// block. Nothing is written to the stack, so that a goroutine that waits commits no further page by being looked at.
//
// Invariant: nobody runs on the stack during the walk.

#include <cstddef>
#include <cstdint>
#include <span>

extern "C" {
void runnel_walk_from_call(const void* registers, void (*walk)(void*), void* argument);
void runnel_walk_from_instruction(const void* registers, void (*walk)(void*), void* argument);
void runnel_capture_registers(void* registers) noexcept;
}

namespace runnel::platform {

// What an unwinder needs. The layout belongs to stack_walk_<machine>.S; both sides state it.
struct registers {
#if defined(__x86_64__)
  std::uintptr_t rbx, rbp, r12, r13, r14, r15, sp, pc;
#elif defined(__aarch64__)
  std::uintptr_t x19_to_x28[10];
  std::uintptr_t fp, lr, sp, pc;
#endif
};

// Of a context that is suspended (context.h).
registers registers_of_context(const void* context) noexcept;

// Of the code that a signal has interrupted; `ucontext`: the handler's third argument.
registers registers_of_signal(const void* ucontext) noexcept;

// The caller's own, as they will be after this call. The walk may begin there as long as the caller has not returned.
inline registers registers_here() noexcept __attribute__((always_inline));
inline registers registers_here() noexcept {
  registers here;
  runnel_capture_registers(&here);
  return here;
}

// What the pc of the registers is: a return address, or the instruction that was to come next.
enum class walk_from { call, instruction };

// Stores at most `most` return addresses, innermost first, beginning with the pc itself (that of an instruction plus one,
// so that the call before each address is what was going on); returns how many. A pc at which no code lies, as after
// a call of a null pointer, is followed by what called it.
int walk_stack(const registers& at, walk_from from, void** frames, int most) noexcept;

// The same to the stack's end, however deep: of one with more than `most` (even) frames, the first half and the last half
// of these are stored. Returns how many there are.
int walk_stack_ends(const registers& at, walk_from from, void** frames, int most) noexcept;

}  // namespace runnel::platform
