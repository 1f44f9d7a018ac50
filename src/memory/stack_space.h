#pragma once
// Address space for goroutine stacks of one size.
//
// A slot is `slot_size` bytes, a power of two: a guard at the low end, usable from there up to the top.
// Slots are cut one after another from arenas that double in size; guards are installed for a run of
// slots at a time, so that a million stacks need neither a million system calls nor a million mappings.
//
// Invariants
//   a slot was handed out            =>  its guard faults, or guards are exhausted and it says so
//   a slot was given back            =>  none of its pages is resident
//   an arena was reserved            =>  it stays until the process ends
// Any thread may call; a lock inside orders everything.

#include <array>
#include <atomic>
#include <cstddef>
#include <vector>

#include "platform/lock.h"

namespace runnel::memory {

struct stack_slot {
  char* begin = nullptr;   // of the guard
  std::size_t size = 0;    // guard included
  std::size_t guard = 0;   // bytes that fault
  std::size_t colour = 0;  // counts slots: lets users of the top page avoid each other's cache sets

  char* lowest() const noexcept { return begin + guard; }
  char* top() const noexcept { return begin + size; }
};

class stack_space {
 public:
  static constexpr std::size_t smallest_slot = 32 << 10;
  static constexpr std::size_t guard_size = 16 << 10;  // beyond it a frame would have to leap

  // The slot for a wish in bytes: a power of two, at least smallest_slot.
  static std::size_t slot_size_for(std::size_t bytes) noexcept;

  explicit stack_space(std::size_t slot_size) noexcept : slot_size_(slot_size) {}

  std::size_t slot_size() const noexcept { return slot_size_; }

  // A slot without resident pages. begin == nullptr: the kernel has no more memory (errno).
  stack_slot take() noexcept;

  // Calls visit(slot) for every slot that was ever handed out. For dumps: takes no lock, so that it works
  // in a program that is falling over; slots handed out meanwhile may be missed.
  template <class Visit>
  void for_each_slot(Visit visit) const noexcept {
    std::size_t arenas = arena_count_.load(std::memory_order_acquire);
    std::size_t left = handed_out_.load(std::memory_order_acquire);
    std::size_t colour = 0;
    for (std::size_t a = 0; a < arenas; ++a) {
      char* at = arenas_[a].begin;
      for (; left > 0 && at != arenas_[a].end; at += slot_size_, --left) {
        visit(stack_slot{at, slot_size_, guard_size, colour++});
      }
    }
  }

  // The same one by one: how many there are, and slot `number` of them.
  std::size_t handed_out() const noexcept { return handed_out_.load(std::memory_order_acquire); }
  stack_slot slot_at(std::size_t number) const noexcept {
    std::size_t left = number;
    std::size_t a = 0;
    for (;; ++a) {
      auto slots = static_cast<std::size_t>(arenas_[a].end - arenas_[a].begin) / slot_size_;
      if (left < slots) break;
      left -= slots;
    }
    return {arenas_[a].begin + left * slot_size_, slot_size_, guard_size, number};
  }

  // Calls visit(begin, end, slots, colour) for every arena: its slots that were ever handed out, and the first one's
  // colour. As for_each_slot.
  template <class Visit>
  void for_each_arena(Visit visit) const noexcept {
    std::size_t arenas = arena_count_.load(std::memory_order_acquire);
    std::size_t left = handed_out_.load(std::memory_order_acquire);
    std::size_t colour = 0;
    for (std::size_t a = 0; a < arenas; ++a) {
      auto room = static_cast<std::size_t>(arenas_[a].end - arenas_[a].begin) / slot_size_;
      std::size_t slots = left < room ? left : room;
      visit(arenas_[a].begin, arenas_[a].end, slots, colour);
      colour += slots;
      left -= slots;
    }
  }

  // Takes back slots; their pages are released here.
  void give_back(const stack_slot* slots, std::size_t count) noexcept;

 private:
  bool grow_locked() noexcept;
  bool guard_ahead_locked() noexcept;

  const std::size_t slot_size_;
  platform::lock lock_;
  std::vector<stack_slot> cold_;
  struct arena {
    char* begin;
    char* end;
  };
  static constexpr std::size_t arenas_max = 1024;

  std::array<arena, arenas_max> arenas_{};  // each is used up before the next is begun
  std::atomic<std::size_t> arena_count_{0};
  std::atomic<std::size_t> handed_out_{0};
  char* next_ = nullptr;         // next slot of the newest arena
  char* guarded_end_ = nullptr;  // slots below it have guards
  char* arena_end_ = nullptr;
  std::size_t next_arena_ = 0;  // bytes
  std::size_t guard_run_ = 1;   // slots to guard next
  bool unguarded_reported_ = false;
};

}  // namespace runnel::memory
