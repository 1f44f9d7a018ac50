#pragma once
// What went wrong, and the text about it after the lines that say what happened: the stack where it was, and the other
// goroutines.

#include <atomic>
#include <csignal>
#include <cstdint>
#include <span>

#include "base/text_writer.h"
#include "platform/stack_walk.h"

namespace runnel::sched {

struct g;
struct m;

// What a report shows after the lines that say what happened.
struct incident {
  platform::registers at{};  // where the trouble is,
  platform::walk_from from = platform::walk_from::call;
  bool thrown = false;              // ... in a throw, or in abort(): shown from there on
  int signal = SIGABRT;             // ... and what the process ends by where RUNNEL_TRACEBACK=crash
  std::span<void* const> frames{};  // the stack, if it was noted when it happened
  std::uint64_t goroutine = 0;      // whose it is; 0: the current one, if there is one
  bool everybody = false;           // the other goroutines too, unless RUNNEL_TRACEBACK=none
  void (*epilogue)(base::text_writer& out, const void* about) = nullptr;  // after the first stack
  const void* about = nullptr;
};

// An incident and the thread that has it.
struct trouble {
  explicit trouble(const incident& happened) noexcept;  // to the calling thread

  incident what;
  const m* thread;
  const g* goroutine;
  int tid;

  // Return addresses, as they are found, in memory that was zero.
  mutable std::atomic<void**> found{nullptr};

  // How far whoever tells it is.
  static constexpr std::uint32_t under_way = 0, told = 1, failed = 2;
  mutable std::atomic<std::uint32_t> state{under_way};
};

// Everything. Allocates, loads libraries, stops the world.
void tell(const trouble& it) noexcept;

// Bare addresses, where that does not get on: neither allocates nor locks.
void tell_bare(const trouble& it) noexcept;

// With status 2, or by the signal where RUNNEL_TRACEBACK=crash.
[[noreturn]] void end_process(int signal) noexcept;

}  // namespace runnel::sched
