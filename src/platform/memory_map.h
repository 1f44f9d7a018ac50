#pragma once
// What memory this process has, and reading it where it may not be there: for looking for pointers.
//
// Nothing here allocates, takes a lock, or calls what might: other threads may be stopped while they hold one.

#include <cstddef>
#include <cstdint>
#include <span>

#include "platform/page_array.h"

namespace runnel::platform {

struct mapping {
  std::uintptr_t begin;
  std::uintptr_t end;
  bool readable;
  bool writable;
  bool shared;
  bool anonymous;   // of no file
  bool heap;        // what brk moves the end of
  bool main_stack;  // of the process's first thread
  bool device;      // to read it might do something; or the kernel's
};

// All mappings, ascending, as they were at one moment.
class mapping_list {
 public:
  // False: /proc is not there, or no memory.
  bool read() noexcept;

  std::span<const mapping> all() const noexcept { return {entries_.begin(), entries_.end()}; }

  // The memory of the list itself. It was there when the list was made, and stays: whatever is mapped later lies elsewhere
  // than what is listed.
  template <class Visit>
  void for_each_own(Visit visit) const noexcept {
    visit(entries_.memory(), entries_.memory_size());
    visit(buffer_.memory(), buffer_.memory_size());
  }

 private:
  page_array<mapping> entries_;
  page_array<char> buffer_;
};

// Copies what can be read; returns how many bytes from the first. 0 where a direct access would end in a signal.
std::size_t read_memory(std::uintptr_t from, void* to, std::size_t size) noexcept;
// One word; 0 if it cannot be read.
std::uintptr_t read_word(std::uintptr_t from) noexcept;

// What pages of a range hold anything.
class resident_pages {
 public:
  resident_pages() noexcept;
  ~resident_pages();
  resident_pages(const resident_pages&) = delete;
  resident_pages& operator=(const resident_pages&) = delete;

  bool valid() const noexcept { return file_ >= 0 && buffer_.size() != 0; }

  enum class kind {
    here,      // may be read
    elsewhere  // swapped out, or guarded: only by read_memory
  };

  // Calls visit(begin, end, kind) for every run of pages in [begin, end) that hold something. False: the kernel does not tell.
  template <class Visit>
  bool for_each(std::uintptr_t begin, std::uintptr_t end, Visit visit) noexcept {
    while (begin < end) {
      std::size_t pages = fill(begin, end);
      if (pages == 0) return false;
      for (std::size_t i = 0; i < pages;) {
        state now = state_of(buffer_[i]);
        std::size_t first = i++;
        while (i < pages && state_of(buffer_[i]) == now) ++i;
        if (now == state::nothing) continue;
        std::uintptr_t to = begin + i * page_;
        visit(begin + first * page_, to < end ? to : end,
              now == state::present ? kind::here : kind::elsewhere);
      }
      begin += pages * page_;
    }
    return true;
  }

 private:
  enum class state { nothing, present, swapped };
  static state state_of(std::uint64_t entry) noexcept {
    constexpr std::uint64_t present = std::uint64_t{1} << 63, swapped = std::uint64_t{1} << 62;
    return (entry & present) != 0   ? state::present
           : (entry & swapped) != 0 ? state::swapped
                                    : state::nothing;
  }
  // Reads the entries of pages from `begin`; returns how many.
  std::size_t fill(std::uintptr_t begin, std::uintptr_t end) noexcept;

  int file_;
  std::size_t page_;
  page_array<std::uint64_t> buffer_;
};

}  // namespace runnel::platform
