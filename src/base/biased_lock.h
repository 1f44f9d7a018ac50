#pragma once
// A spin lock that costs no atomic read-modify-write as long as one party uses it: the Ms that run one P, one after the
// other. For sections of tens of nanoseconds within the runtime.
//
//      owner, acquiring                        another, acquiring
//      word[gen] := true                       held_ := true, by exchange
//      light fence                             bias_ := nobody
//      bias_ as before: acquired               heavy fence (membarrier)
//      else: word[gen] := false, and           wait until word[gen] is false: acquired, and the bias is gone
//            as the others do
//
// Invariants
//   bias_ == (id, gen)   =>  whoever is inside is the party `id` by word[gen], or holds held_ and waits for word[gen]
//   bias_ == nobody      =>  whoever is inside holds held_, or was the owner when the bias was taken away, and is waited
//                            for by the holder of held_
//   bias_ changes        =>  by the holder of held_
//   a word serves one generation: who was the owner in an earlier one, and notices late, clears its own word only
// By the fences, the owner sees the bias gone, or the other sees the owner's word, or both.
// Pairings: the release of a word or of held_ with the acquire of whoever enters next. Sections of one party need none:
// they are one after the other, and the handing on of a P orders them.
//
// A party that has used the lock often without interruption gets the bias. The number doubles twice each time, and after
// eight generations there is no bias any more: heavy fences are some microseconds each.

#include <array>
#include <atomic>
#include <cstdint>
#include <utility>

#include "base/backoff.h"
#include "base/sync_policy.h"

namespace runnel::base {

template <class Sync, std::uint32_t FirstUses = 32>
class biased_lock {
 public:
  // The identity of a party: an address aligned to 64, or this for those who never get the bias.
  static constexpr std::uintptr_t nobody_special = ~std::uintptr_t{63};

  // Returns 0, or, if it had to wait for another party, which.
  std::uintptr_t acquire(std::uintptr_t id) noexcept {
    std::uintptr_t seen = bias_.load(std::memory_order_relaxed);
    if ((seen & ~generation_mask) == id) [[likely]] {
      word& mine = words_[seen & generation_mask];
      mine.store(true, std::memory_order_relaxed);
      Sync::light_fence();
      if (bias_.load(std::memory_order_relaxed) == seen) [[likely]] {
        held_by_ = &mine;
        return 0;
      }
      // A release, although nothing was done inside: this is what the other may read instead of our last one.
      mine.store(false, std::memory_order_release);
    }
    bool contended = held_.exchange(true, std::memory_order_acquire);
    if (contended) [[unlikely]]
      wait_for_held();
    if (bias_.load(std::memory_order_relaxed) != nobody) [[unlikely]]
      take_bias_away();
    held_by_ = &held_;
    if (last_ == id) {
      if (++uses_ >= uses_before_bias_) [[unlikely]]
        give_bias(id);
      return 0;
    }
    uses_ = 0;
    std::uintptr_t other = std::exchange(last_, id);
    return contended ? other : 0;
  }

  // By whoever runs with the lock held, if need be on another thread.
  void release() noexcept { held_by_->store(false, std::memory_order_release); }

 private:
  using word = typename Sync::template atomic<bool>;

  static constexpr std::uintptr_t generation_mask = 63;
  static constexpr std::uint32_t generations = 8;
  static constexpr std::uintptr_t nobody = 0;

  [[gnu::noinline]] void wait_for_held() noexcept {
    patience<Sync> wait;
    do {
      while (held_.load(std::memory_order_relaxed)) wait.wait();
    } while (held_.exchange(true, std::memory_order_acquire));
  }

  [[gnu::noinline]] void take_bias_away() noexcept {
    word& owners = words_[bias_.load(std::memory_order_relaxed) & generation_mask];
    bias_.store(nobody, std::memory_order_relaxed);
    Sync::heavy_fence();
    patience<Sync> wait;
    while (owners.load(std::memory_order_acquire)) wait.wait();
  }

  [[gnu::noinline]] void give_bias(std::uintptr_t id) noexcept {
    uses_ = 0;
    if (generation_ == generations || id == nobody_special || !Sync::asymmetric()) return;
    uses_before_bias_ *= 4;
    bias_.store(id | generation_++, std::memory_order_relaxed);
  }

  typename Sync::template atomic<std::uintptr_t> bias_{nobody};
  word* held_by_ = nullptr;
  std::array<word, generations> words_{};
  word held_{false};
  std::uint8_t generation_ = 0;
  // Who has used it last without the bias, and how often in a row.
  std::uint32_t uses_ = 0;
  std::uint32_t uses_before_bias_ = FirstUses;
  std::uintptr_t last_ = nobody;
};

}  // namespace runnel::base
