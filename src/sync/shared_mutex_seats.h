#pragma once
// The readers of a shared_mutex that sit on Ps: the bias, and the table of seats. The protocol and its invariants
// stand in shared_mutex.cpp.

#include <new>

#include "base/backoff.h"
#include "base/check.h"
#include "platform/membarrier.h"
#include "runnel/sync/shared_mutex.h"
#include "sched/switch.h"

namespace runnel {

struct alignas(64) shared_mutex::seats {
  struct alignas(64) seat {
    std::atomic<std::uint32_t> busy{0};
    std::atomic<std::int64_t> locks{0};
    std::atomic<std::int64_t> unlocks{0};
  };
  int count;
  // Of the writer that has the lock.
  std::int64_t locks_seen = 0;
  int poor_writes = 0;

  // They follow in memory.
  seat& at(int i) noexcept { return reinterpret_cast<seat*>(this + 1)[i]; }
};

struct shared_mutex_seats {
  // A write is poor if fewer reads than this, per seat, came before it; so many poor ones end the bias.
  static constexpr std::int64_t reads_per_seat = 4;
  static constexpr int poor_writes_max = 8;

  using bits = shared_mutex::bits;
  using seats = shared_mutex::seats;
  using word = std::uint64_t;

  // No other P exists or can come while we are in the runtime.
  static bool alone(const sched::m* self) noexcept {
    return self != nullptr && sched::rt().procs.load(std::memory_order_relaxed) == 1;
  }

  static std::int64_t readers(word s) noexcept {
    return static_cast<std::int64_t>(s / shared_mutex::one_reader);
  }
  static void release_guard(void* object) noexcept {
    static_cast<shared_mutex*>(object)->state_.fetch_and(~word{shared_mutex::guard},
                                                         std::memory_order_release);
  }
  // One attempt at s -> (s | guard | more) & ~less; false: s has been read anew.
  static bool take_guard(shared_mutex& mu, word& s, word more, word less,
                         base::backoff& backoff) noexcept {
    if ((s & shared_mutex::guard) != 0) {
      backoff.wait();
      s = mu.state_.load(std::memory_order_relaxed);
      return false;
    }
    return mu.state_.compare_exchange_weak(s, (s | shared_mutex::guard | more) & ~less,
                                           std::memory_order_acquire, std::memory_order_relaxed);
  }

  static seats::seat* seat_of(shared_mutex& mu, sched::m* self) noexcept {
    if (self == nullptr) return nullptr;
    seats* all = mu.seats_.load(std::memory_order_relaxed);
    int number = self->processor->number;
    return number < all->count ? &all->at(number) : nullptr;
  }
  static void bump(std::atomic<std::int64_t>& counter) noexcept {
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

  // After biased was seen (acquire). False: the word must decide.
  static bool lock_in_seat(shared_mutex& mu, sched::m* self) noexcept {
    seats::seat* mine = seat_of(mu, self);
    if (mine == nullptr) return false;
    mine->busy.store(1, std::memory_order_relaxed);
    if (alone(self)) {
      base::hardware::light_fence();
    } else {
      base::hardware::fence();
    }
    word s = mu.state_.load(std::memory_order_acquire);
    bool ok = (s & (shared_mutex::biased | shared_mutex::writer)) == shared_mutex::biased;
    if (ok) bump(mine->locks);
    mine->busy.store(0, std::memory_order_release);
    return ok;
  }
  // The same. Where the seat has no reader, only if it may go below zero.
  static bool unlock_in_seat(shared_mutex& mu, sched::m* self, bool below) noexcept {
    seats::seat* mine = seat_of(mu, self);
    if (mine == nullptr) return false;
    mine->busy.store(1, std::memory_order_relaxed);
    base::hardware::light_fence();
    bool ok = (mu.state_.load(std::memory_order_acquire) & shared_mutex::biased) != 0 &&
              (below || mine->locks.load(std::memory_order_relaxed) >
                            mine->unlocks.load(std::memory_order_relaxed));
    if (ok) bump(mine->unlocks);
    mine->busy.store(0, std::memory_order_release);
    return ok;
  }
  // Exact only for who has set writer; a guess otherwise.
  static std::int64_t sum(seats& all) noexcept {
    std::int64_t total = 0;
    for (int i = 0; i < all.count; ++i) {
      total += all.at(i).locks.load(std::memory_order_acquire) -
               all.at(i).unlocks.load(std::memory_order_acquire);
    }
    return total;
  }

  // What a writer sees in the seats, with writer set and past the fence.
  //   still  nobody is inside; no reader is left, in the word neither
  //   empty  nobody is inside, and each seat is at zero: all readers that are left are in the word, and their
  //          unlocks will go there
  enum class view { still, empty, taken };
  static view look(shared_mutex& mu) noexcept {
    seats& all = *mu.seats_.load(std::memory_order_relaxed);
    std::int64_t total = 0;
    bool zero = true;
    for (int i = 0; i < all.count; ++i) {
      const seats::seat& one = all.at(i);
      if (one.busy.load(std::memory_order_acquire) != 0) return view::taken;
      std::int64_t inside =
          one.locks.load(std::memory_order_acquire) - one.unlocks.load(std::memory_order_acquire);
      // An unlock whose count we have seen must be out, too.
      if (one.busy.load(std::memory_order_acquire) != 0) return view::taken;
      zero = zero && inside == 0;
      total += inside;
    }
    // Read last: who ends the bias clears the bit before it changes a seat.
    word s = mu.state_.load(std::memory_order_acquire);
    if ((s & shared_mutex::biased) == 0) return view::taken;
    if (total + readers(s) == 0) return view::still;
    return zero ? view::empty : view::taken;
  }

  // Between setting writer and looking. A plain thread does not know whether readers leave their fence out.
  static void fence_after_claim(sched::m* self) noexcept {
    if (self == nullptr) {
      base::hardware::heavy_fence();
    } else if (!alone(self)) {
      base::hardware::fence();
    }
  }

  // With guard and biased.
  static void end_bias(shared_mutex& mu, sched::m* self) noexcept {
    mu.state_.fetch_and(~word{shared_mutex::biased | shared_mutex::reads_mask},
                        std::memory_order_acq_rel);
    if (!alone(self)) base::hardware::heavy_fence();
    seats& all = *mu.seats_.load(std::memory_order_relaxed);
    for (int i = 0; i < all.count; ++i) {
      base::backoff backoff;
      while (all.at(i).busy.load(std::memory_order_acquire) != 0) backoff.wait();
    }
    std::int64_t total = sum(all);
    if (total + readers(mu.state_.load(std::memory_order_relaxed)) < 0) {
      base::fatal("sync: RUnlock of unlocked RWMutex");
    }
    mu.state_.fetch_add(static_cast<word>(total) * shared_mutex::one_reader,
                        std::memory_order_acq_rel);
    for (int i = 0; i < all.count; ++i) {
      all.at(i).unlocks.store(all.at(i).locks.load(std::memory_order_relaxed),
                              std::memory_order_release);
    }
  }

  // By a reader that has the lock, when it has been read often.
  static void begin_bias(shared_mutex& mu) noexcept {
    seats* fresh = nullptr;
    if (platform::asymmetric_fences() && mu.seats_.load(std::memory_order_relaxed) == nullptr) {
      int count = sched::rt().procs.load(std::memory_order_relaxed);
      void* memory = ::operator new(sizeof(seats) + sizeof(seats::seat) * count,
                                    std::align_val_t{alignof(seats)}, std::nothrow);
      if (memory != nullptr) {
        fresh = ::new (memory) seats{.count = count};
        for (int i = 0; i < count; ++i) ::new (&fresh->at(i)) seats::seat;
      }
    }
    base::backoff backoff;
    word s = mu.state_.load(std::memory_order_relaxed);
    while (!take_guard(mu, s, 0, shared_mutex::reads_mask, backoff)) {
    }
    seats* all = mu.seats_.load(std::memory_order_relaxed);
    if (all == nullptr && fresh != nullptr) {
      mu.seats_.store(all = fresh, std::memory_order_relaxed);
      fresh = nullptr;
    }
    s = mu.state_.load(std::memory_order_relaxed);
    word next;
    do {
      next = s & ~word{shared_mutex::guard};
      if (all != nullptr && (s & shared_mutex::writer) == 0) next |= shared_mutex::biased;
    } while (!mu.state_.compare_exchange_weak(s, next, std::memory_order_release,
                                              std::memory_order_relaxed));
    if (fresh != nullptr) release_seats(fresh);
  }
  static void release_seats(seats* all) noexcept {
    ::operator delete(all, std::align_val_t{alignof(seats)});
  }

  // By the writer that has the lock, biased: the seats must be worth their while.
  static void judge_bias(shared_mutex& mu, sched::m* self) noexcept {
    seats& all = *mu.seats_.load(std::memory_order_relaxed);
    std::int64_t locks = 0;
    for (int i = 0; i < all.count; ++i) {
      locks += all.at(i).locks.load(std::memory_order_relaxed);
    }
    bool poor = locks - all.locks_seen < reads_per_seat * all.count;
    all.locks_seen = locks;
    all.poor_writes = poor ? all.poor_writes + 1 : 0;
    if (all.poor_writes < poor_writes_max) return;
    all.poor_writes = 0;
    base::backoff backoff;
    word s = mu.state_.load(std::memory_order_relaxed);
    while (!take_guard(mu, s, 0, 0, backoff)) {
    }
    if ((s & shared_mutex::biased) != 0) end_bias(mu, self);
    release_guard(&mu);
  }
};

}  // namespace runnel
