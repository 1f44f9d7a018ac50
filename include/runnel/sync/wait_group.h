#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <utility>

#include "runnel/detail/duration.h"
#include "runnel/detail/wait_list.h"
#include "runnel/go.h"

namespace runnel {

// Waits for a collection of goroutines to finish (sync.WaitGroup). Any thread.
//
// done() happens before the return of a wait() that it unblocks. When the counter is zero, calls of add() with a
// positive n must happen before wait(). It may be reused when all waits have returned, and destroyed when a
// wait() has returned and no other is under way.
class wait_group {
 public:
  constexpr wait_group() = default;
  wait_group(const wait_group&) = delete;
  wait_group& operator=(const wait_group&) = delete;

  // Adds n, which may be negative, to the counter; at zero all waiters are released. Panics below zero:
  // "sync: negative WaitGroup counter".
  void add(int n) {
    auto delta = static_cast<std::uint64_t>(static_cast<std::int64_t>(n)) << counter_shift;
    std::uint64_t after = state_.fetch_add(delta, std::memory_order_acq_rel) + delta;
    if (static_cast<std::int64_t>(after) < 0 || (after >> counter_shift == 0 && after != 0))
        [[unlikely]] {
      add_slow(after);
    }
  }
  void done() { add(-1); }

  // add(1), and a goroutine that calls f and then done(), also when f ends by goexit.
  template <class F>
  [[gnu::noinline]] void go(F&& f) {
    add(1);
    try {
      detail::spawn(nullptr, __builtin_return_address(0), [this, f = std::forward<F>(f)]() mutable {
        struct finish {
          wait_group* wg;
          ~finish() { wg->done(); }
        } on_exit{this};
        auto mine = std::move(f);  // what it captured ends before wait() returns
        std::move(mine)();
      });
    } catch (...) {
      done();
      throw;
    }
  }

  // Blocks until the counter is zero.
  void wait() {
    if (state_.load(std::memory_order_acquire) != 0) wait_slow();
  }
  // The same for at most `limit`; false: it was not zero in that time.
  template <class Rep, class Period>
  bool wait_for(std::chrono::duration<Rep, Period> limit) {
    return state_.load(std::memory_order_acquire) == 0 || wait_slow(detail::deadline_after(limit));
  }

 private:
  friend struct wait_group_internals;

  static constexpr int counter_shift = 32;
  enum bits : std::uint64_t { guard = 1, waiters = 2 };

  void add_slow(std::uint64_t after);
  void wait_slow();
  bool wait_slow(std::int64_t deadline);

  std::atomic<std::uint64_t> state_{0};  // the counter above, bits below
  detail::wait_list waiting_;
};

}  // namespace runnel
