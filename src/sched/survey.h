#pragma once
// What every goroutine is doing, a batch at a time: for dumps, also of programs with a million goroutines that go on
// meanwhile.
//
// The world is stopped for a batch, a fraction of a millisecond, and runs in between: the pictures of one batch belong to
// one moment, those of different batches to different ones. Memory is that of a batch. For a report after which the program
// ends the world is stopped once and for all, if it can be in a tenth of a second.
//
// By any thread without a P; a goroutine calls begin_blocking() first.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/text_writer.h"
#include "sched/g.h"
#include "sched/g_pool.h"
#include "sched/interrupt.h"

namespace runnel::sched {

struct goroutine_sample {
  static constexpr std::size_t frames_max = 128;
  static constexpr std::size_t name_max = 63;

  std::uint64_t id = 0;
  char name[name_max + 1] = {};
  const char* state = "";          // Go's words
  std::uint32_t waited_s = 0;      // 0: not known, or less than a second
  bool locked = false;             // to its thread
  const char* no_stack = nullptr;  // why there are no frames
  std::uint64_t creator = 0;
  void* creator_pc = nullptr;
  std::size_t frame_count = 0;
  std::size_t elided = 0;  // frames in the middle of those, of a deep stack
  void* frames[frames_max];

  std::span<void* const> stack() const noexcept { return {frames, frame_count}; }
};

enum class survey_kind {
  passing,  // the program goes on
  last,     // the program ends
};

class survey {
 public:
  explicit survey(survey_kind kind);

  // The next few goroutines; empty: that was all. Those that have not begun come first, and do not come again.
  std::span<goroutine_sample> next();

  // Goroutines that have not begun, beyond those shown.
  std::size_t more_not_begun() const noexcept { return more_not_begun_; }

 private:
  static constexpr std::size_t batch_max = 64;
  static constexpr std::size_t not_begun_max = 1000;

  void collect_not_begun();
  void collect_batch() noexcept;
  bool was_shown(std::uint64_t id) const noexcept;
  void take(g& one, goroutine_sample& into) noexcept;
  void take_running(g& one, goroutine_sample& into) noexcept;
  bool take_on_thread(g& one, goroutine_sample& into) noexcept;

  const survey_kind kind_;
  interrupter interrupter_;
  bool begun_ = false;
  std::size_t more_not_begun_ = 0;
  std::vector<goroutine_sample> not_begun_;
  std::vector<goroutine_sample> batch_;
  std::size_t count_ = 0;
  g_pool::cursor at_;
  bool at_end_ = false;
};

// Of one that waits, while it cannot go on. `into` may hold another.
void take_parked(const g& one, goroutine_sample& into) noexcept;

// Go's words for what a goroutine is doing.
const char* state_text(g_state state, wait_reason reason) noexcept;

// One sample's first line: `goroutine 7 "name" [chan receive, 3 minutes]:`.
void print_header(base::text_writer& out, const goroutine_sample& one);

}  // namespace runnel::sched
