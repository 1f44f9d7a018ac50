#pragma once
// std::mutex and every other pthread mutex that a goroutine holds: in builds with assertions, a goroutine that waits,
// yields or ends with one is found, and one that unlocks another's.
//
// Such a mutex blocks threads and belongs to one. A goroutine that waits with it gives its thread to others; as soon as
// one of them wants the mutex, the thread waits for a goroutine that may need this very thread, or its P, to go on. And it
// may unlock it on another thread, which pthreads forbid.
//
// Not reported: a goroutine that is suspended against its will, when it enters the runtime after its time is up or without
// its P. It has called nothing that waits; who shows that would be a matter of chance. Nor one that is locked to its
// thread (lock_os_thread): it waits as a thread does. Nor anything that plain threads do. Read-write locks are not watched.
//
// With sanitizers, which have their own pthread functions, and without assertions there is nothing of this.

#include <cstdint>
#include <type_traits>

#include "base/check.h"
#include "platform/sanitizer.h"

namespace runnel::sched {

struct g;

inline constexpr bool mutexes_watched =
    base::assertions && !platform::has_asan && !platform::has_tsan;

// Part of a G; touched by its own thread only.
struct held_mutexes {
  std::uint32_t count = 0;
  bool busy = false;  // in here already: the unwinder locks, too
};
struct no_held_mutexes {};
using g_held_mutexes = std::conditional_t<mutexes_watched, held_mutexes, no_held_mutexes>;

enum class held_when : std::uint8_t { waits, yields, ends };

// Ends the program with a report if the goroutine holds a mutex.
void refuse_held_mutexes(g& me, held_when when) noexcept;

// G: sched::g, which is not complete here.
template <class G>
[[gnu::always_inline]] inline void check_no_mutex_held(G& me, held_when when) noexcept {
  if constexpr (mutexes_watched) {
    if (me.held.count != 0) [[unlikely]]
      refuse_held_mutexes(me, when);
  }
}

}  // namespace runnel::sched
