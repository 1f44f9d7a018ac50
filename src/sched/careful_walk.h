#pragma once
// A walk along a stack that may be damaged: where it leads to memory that is not there, it ends, and what was found until
// then counts.

#include "platform/stack_walk.h"

namespace runnel::sched {

// As platform::walk_stack, into memory that is zero; careful on the reporter's thread only.
int walk_carefully(const platform::registers& at, platform::walk_from from, void** frames,
                   int most) noexcept;

// As platform::walk_stack_ends, likewise.
int walk_carefully_ends(const platform::registers& at, platform::walk_from from, void** frames,
                        int most) noexcept;

// By the handler of a fault: does not return if a walk on this thread has caused it.
void end_walk_astray() noexcept;

}  // namespace runnel::sched
