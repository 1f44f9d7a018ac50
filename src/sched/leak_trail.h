#pragma once
// How the search for leaks has come to a goroutine: with RUNNEL_DEBUG=leak=2 it tells of each that waits for others and
// can still be reached, what holds it, and what holds that, down to a root. For "why is this not reported?", be it a variable
// that still is there or an old address on some stack.

#include <cstddef>
#include <cstdint>

#include "platform/page_array.h"

namespace runnel::platform {
class mapping_list;
class stop_threads;
}  // namespace runnel::platform

namespace runnel::sched {

struct g;

// What can be reached: memory that is searched as far as it is reached.
enum class leak_node : std::uint8_t {
  none,
  stack,   // a goroutine's, with its G
  record,  // of a goroutine, with its closure
  chunk    // of the heap
};

enum class leak_cause : std::uint8_t {
  memory,     // a word at `at`: in another node; or, if in none, a root
  registers,  // of a thread
  stands,     // a thread is on that stack
  state,      // the goroutine waits for nobody
  queued,     // to run
  timer
};

struct leak_step {
  std::uintptr_t begin;  // the node's
  std::uintptr_t base;   // from where it counts: of a stack, not below its stack pointer
  std::size_t size;
  const g* owner;  // of a stack
  leak_node kind;
  leak_cause why;
  int tid;
  std::uintptr_t at;
};

// The steps from one goroutine to a root, in a list of such.
struct leak_trail {
  const g* one;
  std::size_t first;
  std::size_t end;
};

// Where a root lies: threads' stack pointers, and the mappings they are in.
struct leak_stack {
  int tid;
  std::uintptr_t sp;
  std::uintptr_t end;
  std::uintptr_t registers;  // the signal's ucontext
};

struct leak_trails {
  platform::page_array<leak_trail> trails;
  platform::page_array<leak_step> steps;
  platform::page_array<leak_stack> stacks;
};

// On standard error; with the world stopped, but threads going on. May throw std::bad_alloc.
void print_trails(const leak_trails& all);

}  // namespace runnel::sched
