#pragma once
// Records of spawned goroutines that have not begun: fixed-size blocks, cached per P, balanced through
// a central list in batches, never returned to the kernel while the program may spawn again.
//
// Two classes: 128 and 256 bytes, aligned to 64. Larger records come from operator new.
//
// Invariants
//   a cache comes to hold 2 * batch blocks of a class  =>  a batch goes to the central list
//   a block is free  =>  its first word links it in exactly one list
// A cache is touched only by its P's owner; the central list has a lock.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "platform/lock.h"

namespace runnel::memory {

inline constexpr std::size_t record_classes = 2;
inline constexpr std::array<std::size_t, record_classes> record_sizes{128, 256};
inline constexpr std::size_t record_alignment = 64;

// At the start of every slab, in the first block's place.
struct record_slab {
  record_slab* next;
  char* end;
  std::size_t block;  // bytes; blocks lie at multiples from the slab's begin
};

struct record_block {
  record_block* next;
};

template <class Visit>
void for_each_block(const record_block* head, Visit visit) {
  for (; head != nullptr; head = head->next) visit(head);
}
// The word behind the link joins full batches; the smallest block has room for it.
inline record_block*& next_chain(record_block* head) noexcept {
  return reinterpret_cast<record_block**>(head)[1];
}

// A chain of `count` blocks and, through the first block's second word, the next chain.
struct record_chain {
  record_block* head = nullptr;
  std::size_t count = 0;
};

class record_central {
 public:
  static constexpr std::size_t batch = 64;

  // A chain of at least one block, or an empty one: out of memory.
  record_chain take(std::size_t size_class) noexcept;
  void give(std::size_t size_class, record_chain chain) noexcept;

  // All slabs, newest first. They stay for ever.
  const record_slab* slabs() const noexcept { return slabs_.load(std::memory_order_acquire); }

  // For looking at what is free while those may stand still who could hold the lock: it is taken before.
  platform::lock& guard() noexcept { return lock_; }
  template <class Visit>
  void for_each_free_locked(Visit visit) const {
    for (const class_state& state : classes_) {
      for (record_block* head = state.chains; head != nullptr; head = next_chain(head)) {
        for_each_block(head, visit);
      }
      for_each_block(state.loose.head, visit);
    }
  }

 private:
  struct class_state {
    record_block* chains = nullptr;  // heads of full batches, linked by their second word
    record_chain loose;              // less than a batch
    char* slab_next = nullptr;
    char* slab_end = nullptr;
    std::size_t slab_size = 0;
  };
  bool grow_locked(class_state& state, std::size_t block) noexcept;

  platform::lock lock_;
  std::array<class_state, record_classes> classes_;
  std::atomic<record_slab*> slabs_{nullptr};
};

class record_cache {
 public:
  // nullptr: out of memory.
  void* allocate(std::size_t size_class, record_central& central) noexcept {
    record_chain& list = lists_[size_class];
    if (list.head == nullptr) [[unlikely]] {
      list = central.take(size_class);
      if (list.head == nullptr) return nullptr;
    }
    record_block* block = list.head;
    list.head = block->next;
    --list.count;
    // The next one may have been freed by another CPU: have it here when it is asked for.
    __builtin_prefetch(list.head, 1);
    auto next = reinterpret_cast<std::uintptr_t>(list.head);  // there may be none
    __builtin_prefetch(reinterpret_cast<const void*>(next + 64), 1);
    return block;
  }

  void release(std::size_t size_class, void* memory, record_central& central) noexcept {
    record_chain& list = lists_[size_class];
    auto* block = static_cast<record_block*>(memory);
    block->next = list.head;
    list.head = block;
    if (++list.count >= 2 * record_central::batch) [[unlikely]]
      spill(size_class, central);
  }

  template <class Visit>
  void for_each_free(Visit visit) const {
    for (const record_chain& list : lists_) for_each_block(list.head, visit);
  }

  // Gives everything to the central list: when the P goes away or the program idles.
  void flush(record_central& central) noexcept;

 private:
  void spill(std::size_t size_class, record_central& central) noexcept;

  std::array<record_chain, record_classes> lists_;
};

}  // namespace runnel::memory
