// A contestant's whole output: one line `key=value key=value …`, which bench/run reads.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <utility>

namespace bench {

inline void print_metrics(std::initializer_list<std::pair<const char*, double>> metrics) {
  const char* separator = "";
  for (const auto& [key, value] : metrics) {
    std::printf("%s%s=%.6g", separator, key, value);
    separator = " ";
  }
  std::printf("\n");
  std::fflush(stdout);  // the program may end by _Exit
}

// A number measured while the answer was wrong is worse than none.
inline void require(bool true_if_right, const char* what) {
  if (true_if_right) return;
  std::fprintf(stderr, "wrong result: %s\n", what);
  std::_Exit(1);
}

}  // namespace bench
