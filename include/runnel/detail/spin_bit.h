#pragma once
// A lock for some instructions. Not for programs.

#include <atomic>
#include <cstdint>

namespace runnel::detail {

// Works with std::lock_guard. No user code, and nothing that calls the runtime, may run under it: a goroutine
// cannot be parked, nor frozen at the end of a run, while it holds one.
class spin_bit {
 public:
  constexpr spin_bit() = default;
  spin_bit(const spin_bit&) = delete;
  spin_bit& operator=(const spin_bit&) = delete;

  void lock() noexcept {
    if (held_.exchange(1, std::memory_order_acquire) != 0) [[unlikely]]
      lock_slow();
  }
  void unlock() noexcept { held_.store(0, std::memory_order_release); }

 private:
  void lock_slow() noexcept;

  std::atomic<std::uint32_t> held_{0};
};

}  // namespace runnel::detail
