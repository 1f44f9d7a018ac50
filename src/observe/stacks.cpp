// debug::stacks and its relatives: the reporter's thread makes the text, for a goroutine's stack is too small for that.

#include "runnel/debug.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "sched/blocking.h"
#include "sched/reporter.h"

namespace runnel::debug {

std::string stacks(stacks_options how) {
  std::string text;
  sched::begin_blocking();
  bool complete = sched::dump_by_reporter(&text, -1, how.fold);
  sched::end_blocking();
  if (!complete) throw std::bad_alloc();
  return text;
}

void write_stacks(int fd, stacks_options how) {
  sched::begin_blocking();
  bool complete = sched::dump_by_reporter(nullptr, fd, how.fold);
  sched::end_blocking();
  if (!complete) throw std::bad_alloc();
}

std::string to_string(const goroutine_info& one) {
  sched::goroutine_sample sample;
  sample.id = one.id;
  sample.state = one.state.c_str();
  std::strncpy(sample.name, one.name.c_str(), sched::goroutine_sample::name_max);
  sample.creator = one.creator;
  sample.creator_pc = one.creator_pc;
  sample.frame_count = std::min(one.frames.size(), sched::goroutine_sample::frames_max);
  std::copy_n(one.frames.begin(), sample.frame_count, sample.frames);
  std::string text;
  sched::begin_blocking();
  bool complete = sched::text_by_reporter(text, sample);
  sched::end_blocking();
  if (!complete) throw std::bad_alloc();
  return text;
}

}  // namespace runnel::debug
