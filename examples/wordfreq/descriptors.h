// Waits for file descriptors when there are too few.
#pragma once

#include <atomic>
#include <cerrno>
#include <cstdint>

namespace wordfreq {

class descriptors {
 public:
  // Runs attempt(), which opens something, is done with it and returns 0 or an errno value. If it
  // finds no descriptor free, waits by pause(), which should take a millisecond, and tries again:
  // who has one gives it back sooner or later. Gives up if meanwhile done(), a count of the work
  // that needs descriptors, stands still for long: then there are none to be given back.
  template <class Attempt, class Pause, class Done>
  int use(Attempt attempt, Pause pause, Done done) {
    std::uint64_t last_done = 0;
    for (int standing = 0;;) {
      const int error = attempt();
      if (error != EMFILE && error != ENFILE) return error;
      if (standing == standing_max) none_.store(true, std::memory_order_relaxed);
      if (none_.load(std::memory_order_relaxed)) return error;
      pause();
      const std::uint64_t now_done = done();
      standing = now_done == last_done ? standing + 1 : 0;
      last_done = now_done;
    }
  }

 private:
  static constexpr int standing_max = 1000;
  std::atomic<bool> none_{false};  // one has given up; the others need not wait as long again
};

}  // namespace wordfreq
