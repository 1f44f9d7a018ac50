#pragma once
// Where the search for what can be reached begins: everything that may still act, or that whoever acts can see.
//
//   globals, and memory of unknown use     every mapping that can be written or is of no file; less what is walked precisely
//   plain threads                          their registers and stacks, thread-locals of all threads
//   goroutines that are not parked         their stacks, closures and locals; so those that sleep or wait for what is
//                                          not memory
//   goroutines that have not begun         their closures
//   timers                                 what they wake or call
//
// Not: stacks of goroutines as such, records, the runtime's own objects and the stacks of its threads. They keep addresses of
// goroutines long after these have gone on.

#include "platform/memory_map.h"
#include "platform/stack_walk.h"
#include "platform/stop_threads.h"
#include "platform/thread.h"
#include "sched/leak_marking.h"

namespace runnel::sched {

struct leak_scene {
  const platform::mapping_list* mappings;
  const platform::stop_threads* threads;
  // Of the caller: what lies below its stack pointer is the search's own.
  const platform::registers* caller;
  platform::stack_bounds stack;       // of the calling thread
  platform::page_array<g*>* waiting;  // out: candidates
};

// False: memory ran out, or something could not be read.
bool mark_roots(leak_marking& marking, const leak_scene& scene) noexcept;

}  // namespace runnel::sched
