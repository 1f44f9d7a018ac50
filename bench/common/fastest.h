// The fastest of many short runs, for what takes nanoseconds: it says what the code costs, and what
// else the machine was doing stays out of it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>

#include "common/stopwatch.h"

namespace bench {

// Nanoseconds of a call of each of `works`, which do their work `times` times when called with that
// number; they run in turns, so that what disturbs the machine disturbs all of them alike.
template <class... Works>
std::array<double, sizeof...(Works)> fastest_of_each(std::size_t rounds, std::size_t times,
                                                     Works&&... works) {
  std::array<double, sizeof...(Works)> least;
  least.fill(std::numeric_limits<double>::infinity());
  for (std::size_t round = 0; round < rounds; ++round) {
    std::size_t i = 0;
    const auto run = [&](auto& work) {
      const stopwatch watch;
      work(times);
      least[i] = std::min(least[i], watch.nanoseconds() / static_cast<double>(times));
      ++i;
    };
    (run(works), ...);
  }
  return least;
}

}  // namespace bench
