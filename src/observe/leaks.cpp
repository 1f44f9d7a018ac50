// debug::leaks.

#include "sched/leaks.h"

#include "runnel/debug.h"
#include "sched/blocking.h"

namespace runnel::debug {
namespace {

goroutine_info info_of(const sched::goroutine_sample& one) {
  goroutine_info info;
  info.id = one.id;
  info.name = one.name;
  info.state = one.state;
  if (std::uint32_t minutes = one.waited_s / 60) {
    info.state += ", " + std::to_string(minutes) + " minutes";
  }
  info.frames.assign(one.frames, one.frames + one.frame_count);
  info.creator = one.creator;
  info.creator_pc = one.creator_pc;
  return info;
}

}  // namespace

std::vector<goroutine_info> leaks() {
  platform::registers here = platform::registers_here();
  std::vector<goroutine_info> found;
  struct blocked {
    blocked() noexcept { sched::begin_blocking(); }
    ~blocked() { sched::end_blocking(); }
  } meanwhile;
  sched::leak_search search;
  search.run(here, [&](const sched::goroutine_sample& one) { found.push_back(info_of(one)); });
  return found;
}

}  // namespace runnel::debug
