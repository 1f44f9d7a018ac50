#pragma once
// The chunks of glibc's malloc, found by walking their headers: which one an address points into, and whether it is in use.
//
// glibc tells nobody, so nothing is believed that does not check: a region counts only if its chain of headers, from the
// first chunk on, is sound at every step and ends exactly where the allocator says. Memory of another allocator, or a heap
// that a stopped thread has left half changed, does not, and is no part of the map: whoever looks for pointers takes it
// for reachable.
//
//   region            begins                      ends
//   main heap         with the mapping [heap]     with the chunk that ends with the mapping: "top"
//   another arena's   at 64 MiB; behind a head,   at the arena's top; or, in all heaps of an arena but its
//                     in the first heap also      newest, at a fencepost
//                     behind the arena itself
//
// Freed chunks that wait in a thread's cache look used. The caches are chunks too, and are recognized by what they
// hold: every list as long as its count, of chunks of its size, each with the mark of a freed one.
//
// What malloc maps one by one (from 128 KiB) is in no region.
//
// Invariants
//   starts has the bit of a chunk   =>  the chunk was in the chain, and none begins between it and its end
//   marks has a bit                 =>  starts has it
//   a chunk is in a cache, or is one  =>  marked from the beginning
// Built and used while nobody else runs. It does not allocate.

#include <cstddef>
#include <cstdint>
#include <span>

#include "platform/memory_map.h"
#include "platform/page_array.h"

namespace runnel::platform {

class heap_map {
 public:
  struct region {
    std::uintptr_t head;    // the allocator's own, up to the first chunk
    std::uintptr_t begin;   // the first chunk's header
    std::uintptr_t end;     // behind the last chunk
    std::size_t first_bit;  // in both bit maps
    std::size_t first_granule;
  };
  struct chunk {
    std::uintptr_t begin = 0;  // the user's memory; 0: none
    std::uintptr_t end = 0;
    std::size_t bit = 0;
    bool in_use = false;
  };

  // False: no memory; the map is then of no use.
  bool build(std::span<const mapping> mappings) noexcept;

  std::span<const region> regions() const noexcept { return {regions_.begin(), regions_.end()}; }

  // The main heap's arena, a variable of glibc's: full of addresses of chunks. {0, 0}: not found.
  std::uintptr_t main_arena_begin() const noexcept { return main_arena_; }
  std::uintptr_t main_arena_end() const noexcept;

  // The chunk whose user's memory the address points into, or to the end of.
  chunk find(std::uintptr_t address) const noexcept;

  // False: it was marked before.
  bool mark(const chunk& c) noexcept {
    std::uint64_t& word = marks_[c.bit / 64];
    std::uint64_t bit = std::uint64_t{1} << c.bit % 64;
    if ((word & bit) != 0) return false;
    word |= bit;
    return true;
  }

  // Of a region that is not of this process's allocator too: for tests.
  bool add_region(std::uintptr_t begin, std::uintptr_t end, bool main) noexcept;

 private:
  bool add_arena_heap(std::uintptr_t at, std::uintptr_t mapping_end,
                      std::span<const mapping> mappings) noexcept;
  bool add_chain(std::uintptr_t head, std::uintptr_t first, std::uintptr_t end, bool main,
                 bool fenced) noexcept;
  template <class Visit>
  bool walk_cache(std::uintptr_t cache, Visit visit) const noexcept;
  void mark_cached() noexcept;
  void find_main_arena(std::span<const mapping> mappings, std::uintptr_t begin,
                       std::uintptr_t end) noexcept;

  page_array<region> regions_;
  page_array<std::uint64_t> starts_;
  page_array<std::uint64_t> marks_;
  // For every granule of a region, the last chunk that begins before its end, as a bit's number in its region.
  page_array<std::uint32_t> last_start_;
  page_array<std::uintptr_t> cache_sized_;  // chunks
  std::uintptr_t last_chunk_ = 0;           // of the chain that was added last
  std::uintptr_t main_arena_ = 0;
};

}  // namespace runnel::platform
