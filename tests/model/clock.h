#pragma once
// Vector clocks: which events happened before which, for the race detector of the interleaver.
//
// Thread t counts its releases in component t of its own clock. An event of t is known by (t, count at that time),
// and it happened before everything whose clock has at least that count in component t.

#include <array>
#include <cstdint>

namespace runnel::model {

inline constexpr int max_threads = 6;
inline constexpr int main_thread = max_threads;  // runs the set-up and what comes after all threads

class vector_clock {
 public:
  std::uint32_t operator[](int thread) const noexcept { return counts_[thread]; }

  void tick(int thread) noexcept { ++counts_[thread]; }

  void join(const vector_clock& other) noexcept {
    for (int i = 0; i <= max_threads; ++i) {
      if (counts_[i] < other.counts_[i]) counts_[i] = other.counts_[i];
    }
  }

 private:
  std::array<std::uint32_t, max_threads + 1> counts_{};
};

}  // namespace runnel::model
