// What the program says: the result on standard output, the same whatever order the files were
// counted in, and on standard error what went wrong and how fast it was.
#pragma once

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>

#include "merge.h"
#include "tally.h"

namespace wordfreq {

// False if standard output does not take it; says so.
bool print_result(const ranking& words, const tally& totals);

void print_failures(const tally& totals);

// The text as a terminal can show it: what is not UTF-8 and what controls it becomes \xNN.
std::string printable(std::string_view text);

// Time since it was made, the wall's and the processors'.
class stopwatch {
 public:
  stopwatch();
  double seconds() const;
  double cpu_seconds() const;  // of all threads of this process, in user and in kernel mode

 private:
  std::chrono::steady_clock::time_point start_;
  double cpu_start_;
};

void print_speed(const stopwatch& watch, const tally& totals);

}  // namespace wordfreq
