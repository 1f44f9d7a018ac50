// Counters for many goroutines.
#pragma once

#include <runnel/sync.h>
#include <sched.h>

#include <cstddef>
#include <mutex>
#include <vector>

#include "word_counter.h"

namespace wordfreq {

// As every counter has a table of its own, there are only as many as goroutines run at the same
// time, and a goroutine has one only while it counts, not while it reads. It gets the one that was
// last used on its processor if that is free: most of its table is then in the cache.
class shared_counters {
 public:
  explicit shared_counters(std::size_t n) : entries_(n) {}

  void count(const word_chunk& chunk) {
    const locked_entry mine = lock_one();
    mine.which->counter.count(chunk);
  }

  // Calls f(counter) for all of them. Nothing may be counting.
  template <class F>
  void for_each(F f) const {
    for (const entry& e : entries_) f(e.counter);
  }

  wordfreq::progress progress() const {
    wordfreq::progress sum;
    for (const entry& e : entries_) {
      const wordfreq::progress one = e.counter.progress();
      sum.files += one.files;
      sum.bytes += one.bytes;
    }
    return sum;
  }

 private:
  struct alignas(64) entry {
    runnel::mutex lock;
    word_counter counter;
  };
  struct locked_entry {
    entry* which;
    std::unique_lock<runnel::mutex> guard;
  };

  locked_entry lock_one() {
    const auto first = static_cast<std::size_t>(sched_getcpu());
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      entry& e = entries_[(first + i) % entries_.size()];
      std::unique_lock guard(e.lock, std::try_to_lock);
      if (guard) return {&e, std::move(guard)};
    }
    entry& e = entries_[first % entries_.size()];
    return {&e, std::unique_lock(e.lock)};
  }

  std::vector<entry> entries_;
};

}  // namespace wordfreq
