#pragma once
// The protocol of going idle while work arrives: no work may wait while a P is idle and nobody looks.
//
// A P without work becomes idle; its M first spins, which means: looks everywhere for a while. Publishers of
// work wake somebody only if a P is idle and nobody spins.
//
//      publisher                               an M that goes idle
//      puts work into a queue                  under the lock: idle := idle + 1
//      full fence                              spinning := spinning - 1   (read-modify-write)
//      reads idle and spinning                 looks at every queue once more
//
// An M that goes idle without having spun, because enough others do, looks too if by then nobody spins.
//
// Invariants
//   by the fences, the publisher sees idle > 0 and spinning == 0, and wakes a spinner, or the M sees the work
//   spinning > 0  =>  somebody will look at every queue after it has stopped spinning, or has found work and,
//     being the last, wakes the next spinner; or is a waker that has not yet taken the lock
//   a waker that finds no idle P stops counting as a spinner under the lock: who becomes idle later, under the
//     same lock, sees that nobody spins
// `idle` changes under the lock; both counters are read without.

#include <atomic>

namespace runnel::sched {

template <class Sync>
class idle_gate {
 public:
  // --- by anybody ---

  // After work was published: must somebody be woken?
  bool nobody_will_come() const noexcept {
    Sync::fence();
    return idle_.load(std::memory_order_relaxed) != 0 &&
           spinning_.load(std::memory_order_relaxed) == 0;
  }

  // One waker at a time. True: the caller counts as a spinner, until the thread that it wakes takes over.
  bool claim_wake() noexcept {
    int none = 0;
    return spinning_.load(std::memory_order_relaxed) == 0 &&
           spinning_.compare_exchange_strong(none, 1, std::memory_order_acq_rel,
                                             std::memory_order_relaxed);
  }

  int idle() const noexcept { return idle_.load(std::memory_order_relaxed); }
  int spinning() const noexcept { return spinning_.load(std::memory_order_relaxed); }

  // --- by an M with a P ---

  void begin_spinning() noexcept { spinning_.fetch_add(1, std::memory_order_acq_rel); }

  // True: it was the last spinner. Ordered before the caller's next look at the queues.
  bool end_spinning() noexcept { return spinning_.fetch_sub(1, std::memory_order_seq_cst) == 1; }

  // --- under the lock ---

  void add_idle_locked() noexcept { idle_.fetch_add(1, std::memory_order_seq_cst); }
  void take_idle_locked() noexcept { idle_.fetch_sub(1, std::memory_order_seq_cst); }

  // By a claimant of a wake-up that found no idle P.
  void give_up_wake_locked() noexcept { end_spinning(); }

 private:
  typename Sync::template atomic<int> idle_{0};
  alignas(64) typename Sync::template atomic<int> spinning_{0};
};

}  // namespace runnel::sched
