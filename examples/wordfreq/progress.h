// The line that says how far the counting is.
#pragma once

#include <cstdint>
#include <mutex>

#include "report.h"

namespace wordfreq {

struct progress {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
};

// Draws one line over the one before; if standard error is no terminal, below it.
void draw_progress(const progress& now, double seconds);
void erase_progress();

// Lets one draw the line until another is finished. Mutex is what these two block each other with.
template <class Mutex>
class progress_line {
 public:
  // Returns whether to go on.
  bool draw(const progress& now) {
    const std::lock_guard guard(lock_);
    if (finished_) return false;
    draw_progress(now, watch_.seconds());
    drawn_ = true;
    return true;
  }

  // Nothing is drawn after this.
  void finish() {
    const std::lock_guard guard(lock_);
    finished_ = true;
    if (drawn_) erase_progress();
  }

 private:
  const stopwatch watch_;
  Mutex lock_;
  bool drawn_ = false;     // under lock_
  bool finished_ = false;  // under lock_
};

}  // namespace wordfreq
