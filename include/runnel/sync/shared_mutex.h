#pragma once

#include <atomic>
#include <cstdint>

#include "runnel/detail/wait_list.h"

namespace runnel {
namespace sched {
struct m;
}

// A reader/writer lock (sync.RWMutex): held by any number of readers or by one writer. Any thread; parks
// goroutines, blocks plain threads. Works with std::unique_lock, std::shared_lock and std::lock_guard. Not
// recursive, for readers neither: a writer that comes between the two would wait for the first and block the
// second. Either kind may be unlocked by another goroutine than the one that locked it.
//
//   state              lock()   try_lock()   unlock()   lock_shared()   try_lock_shared()   unlock_shared()
//   unlocked           locks    true         fatal (a)  locks           true                fatal (b)
//   read, none waits   waits    false        fatal (a)  locks           true                unlocks
//   read, one waits    waits    false        misuse     waits           false               unlocks; the last
//                                                                                           reader wakes the writer
//   written            waits    false        unlocks    waits           false               fatal (b), perhaps later
//   (a) "sync: Unlock of unlocked RWMutex"   (b) "sync: RUnlock of unlocked RWMutex"
//
// Writers come first: one that waits keeps new readers out. When a writer unlocks, all readers that wait by then
// get the lock, then the next writer. Among writers fairness is that of runnel::mutex: newcomers may overtake, but
// one that has waited for a millisecond is handed the lock.
//
// For a lock that is mostly read each P has a counter of its own: a reader writes nothing that others read, and
// a writer pays with a look at all of them. The table (a cache line per P) is allocated when the lock has been
// read often, and freed with the lock. Plain threads use the shared word.
//
// unlock() happens before the return of later locks of either kind; unlock_shared() before that of a later
// lock(). It may be destroyed by whoever has it locked alone and unlocks it, even while the unlock() or
// unlock_shared() that let him in has not returned.
class shared_mutex {
 public:
  constexpr shared_mutex() = default;
  ~shared_mutex() {
    if (seats_.load(std::memory_order_relaxed) != nullptr) free_seats();
  }
  shared_mutex(const shared_mutex&) = delete;
  shared_mutex& operator=(const shared_mutex&) = delete;

  // --- writers ---

  void lock() {
    if (!take_free()) [[unlikely]]
      lock_slow();
  }
  // Never waits. False also while another goroutine is about to lock or unlock.
  bool try_lock() { return take_free() || try_lock_slow(); }
  void unlock() {
    std::uint64_t s = state_.load(std::memory_order_relaxed);
    if ((s & (writer | draining | readers_wait | writers_wait)) != writer ||
        !state_.compare_exchange_strong(s, s & ~std::uint64_t{writer}, std::memory_order_release,
                                        std::memory_order_relaxed)) [[unlikely]] {
      unlock_slow();
    }
  }

  // --- readers ---

  void lock_shared() {
    if (!join_readers()) [[unlikely]]
      lock_shared_slow();
  }
  bool try_lock_shared() { return join_readers() || try_lock_shared_slow(); }
  void unlock_shared() {
    std::uint64_t s = state_.load(std::memory_order_relaxed);
    if ((s & (biased | draining)) != 0 || s < one_reader ||
        !state_.compare_exchange_strong(s, s - one_reader, std::memory_order_release,
                                        std::memory_order_relaxed)) [[unlikely]] {
      unlock_shared_slow();
    }
  }

 private:
  friend struct shared_mutex_seats;
  friend struct shared_mutex_internals;
  struct seats;

  // Explained in sync/shared_mutex.cpp.
  enum bits : std::uint64_t {
    guard = 1,
    writer = 2,
    draining = 4,
    readers_wait = 8,
    writers_wait = 16,
    woken = 32,
    biased = 64,
    one_read = 1 << 8,
    reads_mask = 1023 << 8,
    one_reader = 1 << 20,
  };
  static constexpr std::uint64_t first_reads_to_bias = 100;

  bool take_free() {
    std::uint64_t s = state_.load(std::memory_order_relaxed);
    return (s & ~std::uint64_t{reads_mask}) == 0 &&
           state_.compare_exchange_strong(s, s | writer, std::memory_order_acquire,
                                          std::memory_order_relaxed);
  }
  bool join_readers() {
    std::uint64_t s = state_.load(std::memory_order_relaxed);
    return (s & (writer | biased)) == 0 && (s & reads_mask) != reads_mask &&
           state_.compare_exchange_strong(s, s + one_reader + one_read, std::memory_order_acquire,
                                          std::memory_order_relaxed);
  }

  void lock_slow();
  bool try_lock_slow();
  void unlock_slow();
  void lock_shared_slow();
  bool try_lock_shared_slow();
  void unlock_shared_slow();
  void free_seats() noexcept;

  std::atomic<std::uint64_t> state_{reads_mask - first_reads_to_bias * one_read};
  std::atomic<seats*> seats_{nullptr};
  std::atomic<std::uint32_t> woken_in_{0};  // the run in which the woken bit was set
  wait::waiter* drainer_ = nullptr;
  detail::wait_list readers_;
  detail::wait_list writers_;
};

}  // namespace runnel
