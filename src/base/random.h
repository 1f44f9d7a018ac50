#pragma once
// A small generator for scheduling choices: an M's own, seeded, never shared, not for secrets.
// The algorithm is splitmix64 (Steele, Lea and Flood, OOPSLA 2014).

#include <cstdint>

namespace runnel::base {

class random {
 public:
  explicit random(std::uint64_t seed) noexcept : state_(seed) {}

  std::uint64_t next() noexcept {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // In [0, n), n > 0; the bias of the multiplication is far below what a scheduler could notice.
  std::uint32_t below(std::uint32_t n) noexcept {
    return static_cast<std::uint32_t>(((next() >> 32) * n) >> 32);
  }

 private:
  std::uint64_t state_;
};

}  // namespace runnel::base
