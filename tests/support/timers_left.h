#pragma once
// What timers leave behind: entries in the heaps of the Ps, and memory.

#include <malloc.h>

#include <cstddef>

#include "sched/runtime.h"

namespace test {

// Timers in the heaps of all Ps; goroutines that sleep or wait with a deadline count too.
inline std::size_t timers_in_heaps() {
  auto& r = runnel::sched::rt();
  std::size_t sum = 0;
  for (int i = 0; i < r.p_made.load(); ++i) sum += r.all_p[i].load()->timers.size();
  return sum;
}

// Bytes that malloc has given away. Sanitizers bring their own, which does not count.
inline std::size_t bytes_allocated() { return mallinfo2().uordblks; }

}  // namespace test
