#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <system_error>

#include "runnel/detail/duration.h"
#include "runnel/detail/wait_list.h"

namespace runnel {

class context;

// A weighted semaphore (golang.org/x/sync/semaphore): so many units, of which each user holds some for a while.
// Any thread; parks goroutines, blocks plain threads. Units may be released by another goroutine than the one that
// acquired them, in other portions.
//
//                     acquire(n)   acquire_for(limit, n)   try_acquire(n)
//   n are free, and
//   nobody waits      takes them   takes them, true        takes them, true
//   otherwise         waits        waits; false: too long  false
//   n > the capacity  panics       waits; false            false
//
// First come, first served: one who waits for many keeps those behind him waiting, even those who want few, so
// that large requests do not starve. A request for more than the capacity, which nothing could ever fulfil, waits
// outside of the line, in nobody's way.
//
// release() happens before the return of an acquire() that takes the units. It may be destroyed when nobody waits
// or is about to, by one whose acquire() could succeed only after the last release(), even if that has not returned.
class semaphore {
 public:
  // All units are free. At most 2^62 - 1.
  explicit constexpr semaphore(std::size_t units) noexcept
      : state_(std::uint64_t{units} << units_shift), capacity_(units) {}
  semaphore(const semaphore&) = delete;
  semaphore& operator=(const semaphore&) = delete;

  // Takes n units, waiting for them if need be. Panics (runtime_error) if n is more than the capacity:
  // "semaphore: acquire of more than its capacity".
  void acquire(std::size_t n = 1) {
    if (!take_free(n)) [[unlikely]]
      acquire_slow(n);
  }
  // The same until the context ends: its err(), and nothing is taken, as with one that has ended before. More than the
  // capacity: waits for the end of the context.
  std::error_code acquire(const context& ctx, std::size_t n = 1);
  // The same for at most `limit`.
  template <class Rep, class Period>
  bool acquire_for(std::chrono::duration<Rep, Period> limit, std::size_t n = 1) {
    return take_free(n) || acquire_until(detail::deadline_after(limit), n);
  }
  // Never waits.
  bool try_acquire(std::size_t n = 1) { return take_free(n) || try_acquire_slow(n); }

  // Gives n units back. Panics if so many are not held: "semaphore: released more than held"; then nothing is
  // given back.
  void release(std::size_t n = 1) {
    std::uint64_t s = state_.load(std::memory_order_relaxed);
    if ((s & (guard | waiters)) != 0 || n > capacity_ - (s >> units_shift) ||
        !state_.compare_exchange_strong(s, s + (std::uint64_t{n} << units_shift),
                                        std::memory_order_release, std::memory_order_relaxed))
        [[unlikely]] {
      release_slow(n);
    }
  }

 private:
  friend struct semaphore_internals;

  // Explained in sync/semaphore.cpp.
  static constexpr int units_shift = 2;
  enum bits : std::uint64_t { guard = 1, waiters = 2 };

  bool take_free(std::size_t n) {
    std::uint64_t s = state_.load(std::memory_order_relaxed);
    return (s & (guard | waiters)) == 0 && n <= s >> units_shift &&
           state_.compare_exchange_strong(s, s - (std::uint64_t{n} << units_shift),
                                          std::memory_order_acquire, std::memory_order_relaxed);
  }
  void acquire_slow(std::size_t n);
  bool acquire_until(std::int64_t deadline, std::size_t n);
  bool try_acquire_slow(std::size_t n);
  void release_slow(std::size_t n);

  std::atomic<std::uint64_t> state_;  // free units above, bits below
  const std::size_t capacity_;
  detail::wait_list waiting_;
};

}  // namespace runnel
