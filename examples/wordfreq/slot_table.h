// A hash table without anything that is not needed to count: words are only ever added.
//
// Open addressing with linear probing, at most two thirds full, indexed by the *top* bits of the
// hash. Hence the slots stand in the order of their hashes, but for a few that their neighbours
// pushed on, and the slots of one range of hashes stand together: see for_each.
//
// A Slot is trivial, all zero while it is free, and has a `hash`, which is not 0 once it is taken.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace wordfreq {

template <class Slot>
class slot_table {
  static_assert(std::is_trivial_v<Slot>);

 public:
  // `size_expected` may be wrong. The top `bits_shared` bits are the same in all hashes that will
  // come, and so tell nothing.
  explicit slot_table(std::size_t size_expected = 0, unsigned bits_shared = 0)
      : bits_shared_(bits_shared) {
    allocate(std::bit_ceil(std::max(capacity_min, size_expected / 2 * 3)));
  }

  // Returns the slot of this hash for which same(slot) holds, or else a free one, which the caller
  // has to take by setting its hash. Valid until the next call.
  template <class Same>
  Slot& find(std::uint64_t hash, Same same) {
    if (size_ >= size_max_) grow();
    for (std::size_t i = index(hash);; i = (i + 1) & mask_) {
      Slot& slot = slots_[i];
      if (slot.hash == hash && same(slot)) return slot;
      if (slot.hash == 0) {
        ++size_;
        return slot;
      }
    }
  }

  // Brings the slot where this hash would stand into the cache.
  void prefetch(std::uint64_t hash) const { __builtin_prefetch(&slots_[index(hash)], 1); }

  // Calls f(slot) for all slots with first_hash <= hash <= last_hash.
  template <class F>
  void for_each(std::uint64_t first_hash, std::uint64_t last_hash, F f) const {
    // A slot is at its hash's index or behind it, and no free one is between. So behind the range,
    // nothing belongs to it after the first free slot.
    const std::size_t begin = index(first_hash);
    const std::size_t length = index(last_hash) - begin;
    for (std::size_t n = 0; n <= mask_; ++n) {
      const Slot& slot = slots_[(begin + n) & mask_];
      if (slot.hash == 0) {
        if (n >= length) return;
      } else if (slot.hash >= first_hash && slot.hash <= last_hash) {
        f(slot);
      }
    }
  }

  std::size_t size() const { return size_; }

 private:
  struct freed {
    void operator()(Slot* slots) const { std::free(slots); }
  };

  static constexpr std::size_t capacity_min = 256;

  std::size_t index(std::uint64_t hash) const { return (hash << bits_shared_) >> shift_; }

  static constexpr std::size_t huge_page_bytes = 2 << 20;

  void allocate(std::size_t capacity) {
    const std::size_t bytes = capacity * sizeof(Slot);
    void* memory;
    if (bytes < huge_page_bytes / 2) {
      memory = std::calloc(capacity, sizeof(Slot));
    } else {
      // A table this large is touched all over the place: huge pages spare most of the TLB misses,
      // and most of the page faults while it grows.
      const std::size_t whole_pages = (bytes + huge_page_bytes - 1) & ~(huge_page_bytes - 1);
      memory = std::aligned_alloc(huge_page_bytes, whole_pages);
      if (memory != nullptr) {
        madvise(memory, whole_pages, MADV_HUGEPAGE);
        std::memset(memory, 0, bytes);
      }
    }
    if (memory == nullptr) throw std::bad_alloc();
    slots_.reset(static_cast<Slot*>(memory));
    shift_ = 64 - static_cast<unsigned>(std::countr_zero(capacity));
    mask_ = capacity - 1;
    size_max_ = capacity / 3 * 2;
  }

  void grow() {
    const std::size_t old_capacity = mask_ + 1;
    const auto old_slots = std::move(slots_);
    allocate(old_capacity * sizeof(Slot) < huge_page_bytes / 2 ? old_capacity * 4
                                                               : old_capacity * 2);
    for (std::size_t i = 0; i < old_capacity; ++i) {
      if (old_slots[i].hash == 0) continue;
      std::size_t to = index(old_slots[i].hash);
      while (slots_[to].hash != 0) to = (to + 1) & mask_;
      slots_[to] = old_slots[i];
    }
  }

  std::unique_ptr<Slot[], freed> slots_;
  std::size_t mask_ = 0;  // the capacity, a power of two, less one
  unsigned shift_ = 0;    // takes a hash to its index
  unsigned bits_shared_;
  std::size_t size_ = 0;
  std::size_t size_max_ = 0;
};

}  // namespace wordfreq
