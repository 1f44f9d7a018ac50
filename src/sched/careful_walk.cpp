#include "sched/careful_walk.h"

#include <setjmp.h>

#include <algorithm>

#include "platform/thread.h"
#include "sched/runtime.h"

namespace runnel::sched {
namespace {

bool on_reporters_thread() noexcept {
  return platform::thread_id() == rt().reporter_tid.load(std::memory_order_relaxed);
}

}  // namespace

struct walk_escape {
  sigjmp_buf place;
};

namespace {

using walker = int (*)(const platform::registers&, platform::walk_from, void**, int) noexcept;

int walk_with(walker walk, const platform::registers& at, platform::walk_from from, void** frames,
              int most) noexcept {
  if (!on_reporters_thread()) return walk(at, from, frames, most);
  runtime& r = rt();
  walk_escape escape;
  // The mask is not kept: handlers of faults block nothing.
  if (sigsetjmp(escape.place, 0) != 0) {
    r.escape.store(nullptr, std::memory_order_relaxed);
    return static_cast<int>(std::find(frames, frames + most, nullptr) - frames);
  }
  r.escape.store(&escape, std::memory_order_relaxed);
  int count = walk(at, from, frames, most);
  r.escape.store(nullptr, std::memory_order_relaxed);
  return count;
}

}  // namespace

int walk_carefully(const platform::registers& at, platform::walk_from from, void** frames,
                   int most) noexcept {
  return walk_with(&platform::walk_stack, at, from, frames, most);
}

int walk_carefully_ends(const platform::registers& at, platform::walk_from from, void** frames,
                        int most) noexcept {
  return walk_with(&platform::walk_stack_ends, at, from, frames, most);
}

void end_walk_astray() noexcept {
  walk_escape* escape = rt().escape.load(std::memory_order_relaxed);
  if (escape != nullptr && on_reporters_thread()) siglongjmp(escape->place, 1);
}

}  // namespace runnel::sched
