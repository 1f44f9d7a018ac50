// What is counted besides the words themselves, and which files could not be read.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace wordfreq {

struct failure {
  std::string path;
  int error;  // errno

  auto operator<=>(const failure&) const = default;
};

struct tally {
  static constexpr std::size_t failures_named = 5;

  std::uint64_t files = 0;  // read to their end
  std::uint64_t bytes = 0;
  std::uint64_t words = 0;
  std::uint64_t too_long = 0;    // runs of letters too long for a word
  std::uint64_t skipped = 0;     // symbolic links, pipes, sockets, devices
  std::uint64_t unreadable = 0;  // files and directories
  std::vector<failure>
      failures;  // of the unreadable the first by path, which is the same every time

  void add_failure(std::string path, int error);
  tally& operator+=(const tally& other);
};

}  // namespace wordfreq
