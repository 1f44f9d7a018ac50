// Counts words and everything else that is told about files. For one owner at a time.
#pragma once

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <string>

#include "progress.h"
#include "tally.h"
#include "text_reader.h"
#include "word_table.h"

namespace wordfreq {

class word_counter {
 public:
  void count(const word_chunk& chunk);

  const word_table& words() const { return words_; }
  wordfreq::tally tally() const;

  // May be called by anyone at any time.
  wordfreq::progress progress() const {
    return {files_.load(std::memory_order_relaxed), bytes_.load(std::memory_order_relaxed)};
  }

 private:
  word_table words_;
  std::uint64_t words_counted_ = 0;
  std::uint64_t too_long_ = 0;
  std::atomic<std::uint64_t> files_{0};  // written by the owner only, as the next
  std::atomic<std::uint64_t> bytes_{0};
};

// Reads a file and calls count(chunk) for every chunk of it. What has to wait for a device is called
// by wait(f). Returns 0 or what stopped the reading as an errno value.
template <class Count, class Wait>
int read_file(const std::string& path, Count count, Wait wait) {
  text_reader reader;
  word_chunk chunk;
  int error = reader.open(path);
  while (error == 0 && !chunk.last) {
    error = reader.next(chunk, text_reader::mode::at_once);
    if (error == EAGAIN) wait([&] { error = reader.next(chunk, text_reader::mode::wait); });
    if (error == 0) count(chunk);
  }
  return error;
}

}  // namespace wordfreq
