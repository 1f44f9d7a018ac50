#pragma once
// Revocation: how a P is taken from an M that runs user code, without signals and without an atomic
// read-modify-write where nobody asks.
//
// The owner (an M) says in `zone` whether it is inside the runtime, where it may touch its P, or in user
// code, where it may not. A claimant (sysmon, or whoever stops the world; one at a time) wants the P.
//
//      owner, entering                         claimant
//      zone := runtime                         claim := claim | claiming
//      light fence                             heavy fence (membarrier)
//      read claim                              read zone
//
// Invariants
//   by the fences, the owner sees the claim or the claimant sees `runtime`, or both
//   the owner saw a claim      =>  it touches nothing of its P until the verdict
//   zone != runtime after the heavy fence  =>  verdict `taken`: the P is the claimant's
//   zone == runtime            =>  verdict `withdrawn`: the P stays, and the owner is asked to yield
//   taken is set               =>  the owner has no P, until it clears the bit itself
// Pairings
//   zone release (leave)  ->  zone acquire (decide): what the owner did to its P is the claimant's to read
//   claim release (decide)  ->  claim acquire (enter, verdict)
//
// Where the kernel has no membarrier the owner's claim word keeps the bit `fenced`, which sends every entry
// to the slow path, and that path makes the full fence itself.
//
// Rejected: a signal to the thread (system calls see EINTR, blocked signals), and compare-and-swap on both
// sides of every runtime call, as Go does around system calls (two locked instructions to each call).

#include <atomic>
#include <cstdint>

namespace runnel::sched {

enum class zone : std::uint32_t { user, runtime, blocking };

template <class Sync>
class handshake {
 public:
  enum bits : std::uint32_t {
    claiming = 1,  // a verdict is coming
    taken = 2,     // the P is gone
    preempt = 4,   // yield, please
    fenced = 8,    // constant where fences are not asymmetric
  };

  // --- by the owner ---

  // Enters the runtime. True: the P is ours. False: settle() must tell.
  bool enter() noexcept {
    zone_.store(zone::runtime, std::memory_order_relaxed);
    Sync::light_fence();
    return claim_.load(std::memory_order_acquire) == 0;
  }

  // After enter() said false: waits for a verdict and returns the bits now set (taken, preempt).
  std::uint32_t settle() noexcept {
    std::uint32_t c = claim_.load(std::memory_order_acquire);
    if ((c & fenced) != 0) {
      Sync::fence();
      c = claim_.load(std::memory_order_acquire);
    }
    while ((c & claiming) != 0) {
      Sync::pause();
      c = claim_.load(std::memory_order_acquire);
    }
    return c & (taken | preempt);
  }

  // In the runtime: forgets bits that have been dealt with.
  void clear(std::uint32_t which) noexcept { claim_.fetch_and(~which, std::memory_order_relaxed); }

  // In the runtime: gives the P up of the owner's own accord. The next enter() will say so.
  void surrender() noexcept { claim_.fetch_or(taken, std::memory_order_relaxed); }

  void leave(zone to = zone::user) noexcept { zone_.store(to, std::memory_order_release); }

  void use_full_fences() noexcept { claim_.fetch_or(fenced, std::memory_order_relaxed); }

  // --- by the one claimant ---

  void claim() noexcept { claim_.fetch_or(claiming, std::memory_order_relaxed); }

  // After the heavy fence. `still_wanted` is asked only once the owner is known to be outside, and may read
  // what the owner wrote inside; what it does when it says yes is done before the owner can know. True: taken.
  template <class StillWanted>
  bool decide(std::uint32_t if_withdrawn, StillWanted still_wanted) noexcept {
    bool outside = zone_.load(std::memory_order_acquire) != zone::runtime;
    if (outside && still_wanted()) {
      claim_.fetch_or(taken, std::memory_order_relaxed);
      claim_.fetch_and(~std::uint32_t{claiming}, std::memory_order_release);
      return true;
    }
    claim_.fetch_or(if_withdrawn, std::memory_order_relaxed);
    claim_.fetch_and(~std::uint32_t{claiming}, std::memory_order_release);
    return false;
  }

  // A wish only: the owner sees it when it next enters the runtime.
  void ask_to_yield() noexcept { claim_.fetch_or(preempt, std::memory_order_relaxed); }

  zone where() const noexcept { return zone_.load(std::memory_order_acquire); }

 private:
  typename Sync::template atomic<zone> zone_{zone::runtime};
  typename Sync::template atomic<std::uint32_t> claim_{0};
};

}  // namespace runnel::sched
