#pragma once
// Records of goroutines that have been spawned.

#include "sched/g.h"
#include "sched/p.h"

namespace runnel::sched {

// Frees the record of a goroutine that has ended, into the cache of `pp` (nullptr: the central list).
void release_record(p* pp, task* record) noexcept;

}  // namespace runnel::sched
