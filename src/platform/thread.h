#pragma once
// Operating-system threads, as the scheduler needs them.

#include <cstddef>
#include <cstdint>

namespace runnel::platform {

// Starts a detached thread with all signals as the program has them for new threads, and a stack for their
// handlers. `name` has at most 15 characters. Returns 0 or the error number (EAGAIN: no more threads).
int start_thread(void (*body)(void*), void* argument, const char* name) noexcept;

int thread_id() noexcept;  // the kernel's

// The calling thread's stack.
struct stack_bounds {
  void* lowest;
  std::size_t size;
};
stack_bounds current_thread_stack() noexcept;

// The end of the first frame of the calling thread's stack: above it are thread-locals only. Of a thread that pthread_create
// made.
const void* end_of_first_frame() noexcept;

// What the C library knows the calling thread by: pthread_self().
std::uintptr_t thread_descriptor() noexcept;

// True if the kernel says that the thread waits for something (state S, D or T) rather than runs or
// waits for a CPU. False where /proc is absent.
bool thread_sleeps(int tid) noexcept;

// Whether every thread of the process is one of those; false also if that cannot be found out.
bool all_threads_are(bool (*one_of)(int tid) noexcept) noexcept;

}  // namespace runnel::platform
