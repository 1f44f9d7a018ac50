#pragma once
// The thread that tells what went wrong.
//
// A thread of its own, asleep until it is needed: whoever is in trouble may have no stack left to do it on, hold locks,
// or be in the middle of malloc. It holds no lock of the runtime while it sleeps, and its memory comes from its own malloc
// arena. Who is in trouble writes the first lines, which say what happened, hands over its registers, and waits; if the
// report is not out after some seconds, it writes bare return addresses itself and ends the process.
//
// It also serves those who want to see all goroutines (debug::stacks), and SIGQUIT.
//
// Invariants
//   trouble != nullptr     =>  base::begin_report() has let one thread through, and it waits in tell_and_exit
//   a dump_wish is listed  =>  its thread waits until it has been served

#include <cstdint>
#include <span>
#include <string>

#include "base/text_writer.h"
#include "platform/parker.h"
#include "platform/stack_walk.h"
#include "sched/dump.h"

namespace runnel::sched {

// What a report shows after the lines that say what happened.
struct incident {
  platform::registers at{};  // where the trouble is,
  platform::walk_from from = platform::walk_from::call;
  bool thrown = false;              // ... in a throw: shown from there on
  std::span<void* const> frames{};  // the stack, if it was noted when it happened
  std::uint64_t goroutine = 0;      // whose it is; 0: the current one, if there is one
  bool everybody = false;           // the other goroutines too, unless RUNNEL_TRACEBACK=none
  void (*epilogue)(base::text_writer& out, const void* about) = nullptr;  // after the first stack
  const void* about = nullptr;
};

// Ends the process with status 2, or by SIGABRT where RUNNEL_TRACEBACK=crash, after the report. The caller has called
// base::begin_report() and written what happened. From any thread, on any stack, also in a signal handler.
[[noreturn]] void tell_and_exit(const incident& what) noexcept;

// Text of all goroutines, made by the reporter: into `to`, or to the descriptor. From any thread without a P.
void dump_by_reporter(std::string* to, int fd, bool fold);

// Text of one goroutine.
void text_by_reporter(std::string& to, const goroutine_sample& one);

// Once, before the first M.
void start_reporter() noexcept;

}  // namespace runnel::sched
