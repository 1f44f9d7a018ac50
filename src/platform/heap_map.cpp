#include "platform/heap_map.h"

#include <algorithm>
#include <bit>

namespace runnel::platform {
namespace {

// malloc/malloc.c and malloc/arena.c of glibc, 64 bits.
constexpr std::uintptr_t unit = 16;  // chunks begin at multiples
constexpr std::uintptr_t header_size =
    16;  // the size of the chunk before, if that is free; our size
constexpr std::uintptr_t smallest = 32;
constexpr std::uintptr_t before_in_use = 1, mapped_alone = 2, not_main = 4, flags = 7;
constexpr std::uintptr_t heap_alignment = 64 << 20;
constexpr std::uintptr_t page = 4096;
// Where malloc_state has its top: the layouts since 2.27, and before.
constexpr std::uintptr_t top_offsets[] = {0x60, 0x58};
// sizeof(malloc_state) since 2.26; where it is not, it is looked for.
constexpr std::uintptr_t arena_size = 0x898;
constexpr std::uintptr_t arena_size_max = 0x1000;
// Where it has the bytes it got from the kernel.
constexpr std::uintptr_t system_memory_offset = 0x888;
// sizeof(heap_info): before 2.35, since.
constexpr std::uintptr_t head_sizes[] = {0x20, 0x30, 0x40, 0x50};

// tcache_perthread_struct since 2.30: numbers of chunks, and lists, for sizes from the smallest in steps of a unit.
constexpr std::size_t cache_bins = 64;
struct thread_cache {
  std::uint16_t counts[cache_bins];
  std::uintptr_t entries[cache_bins];
};
constexpr std::uintptr_t cache_chunk_size = sizeof(thread_cache) + header_size;

constexpr std::uintptr_t granule = 4096;

std::uintptr_t word_at(std::uintptr_t address) noexcept {
  return *reinterpret_cast<const std::uintptr_t*>(address);
}
std::uintptr_t align_up(std::uintptr_t value, std::uintptr_t to) noexcept {
  return (value + to - 1) / to * to;
}

// Visits every chunk from `first` on. True: all is sound, up to the end.
template <class Visit>
bool walk(std::uintptr_t first, std::uintptr_t end, bool main, bool fenced, Visit visit) noexcept {
  std::uintptr_t at = first, size_before = 0;
  if (first % unit != 0 || first + smallest > end) return false;
  for (;;) {
    if (at == end) return !fenced;
    if (at + header_size > end) return false;
    std::uintptr_t head = word_at(at + 8), size = head & ~flags;
    bool free_before = (head & before_in_use) == 0;
    if ((head & mapped_alone) != 0 || (main && (head & not_main) != 0)) return false;
    // Who is free says so behind itself too.
    if (free_before && (at == first || word_at(at) != size_before)) return false;
    if (size < smallest) {
      // Fenceposts: an empty one, and mostly one before it without room for anything.
      bool last = size == 0 && at + header_size == end;
      bool but_last = size == header_size && at + 2 * header_size == end;
      if (!fenced || !(last || but_last)) return false;
      if (last) return true;
    } else if (size % unit != 0 || size > end - at) {
      return false;
    } else {
      visit(at, size);
    }
    size_before = size;
    at += size;
  }
}

}  // namespace

bool heap_map::add_chain(std::uintptr_t head, std::uintptr_t first, std::uintptr_t end, bool main,
                         bool fenced) noexcept {
  if (!walk(first, end, main, fenced, [](std::uintptr_t, std::uintptr_t) {})) return false;
  region added{head, first, end, starts_.size() * 64, last_start_.size()};
  std::size_t granules = (end - first + granule - 1) / granule;
  std::size_t words = ((end - first) / unit + 63) / 64;
  std::size_t starts_before = starts_.size();
  if (!starts_.resize(starts_before + words) || !marks_.resize(starts_before + words) ||
      !last_start_.resize(added.first_granule + granules)) {
    return false;
  }
  std::size_t filled = 0;
  std::uint32_t last = 0;
  auto fill_to = [&](std::size_t to) {
    while (filled < to) last_start_[added.first_granule + filled++] = last;
  };
  walk(first, end, main, fenced, [&](std::uintptr_t at, std::uintptr_t size) {
    if (size == cache_chunk_size) cache_sized_.push(at + header_size);
    std::size_t index = (at - first) / unit;
    starts_[starts_before + index / 64] |= std::uint64_t{1} << index % 64;
    fill_to((at - first) / granule);
    last = static_cast<std::uint32_t>(index);
    last_chunk_ = at;
  });
  fill_to(granules);
  return regions_.push(added);
}

bool heap_map::add_region(std::uintptr_t begin, std::uintptr_t end, bool main) noexcept {
  bool added = add_chain(begin, begin, end, main, false);
  std::sort(regions_.begin(), regions_.end(),
            [](const region& a, const region& b) { return a.begin < b.begin; });
  return added;
}

// A heap of an arena that is not the main one, if there is one at `at`.
bool heap_map::add_arena_heap(std::uintptr_t at, std::uintptr_t mapping_end,
                              std::span<const mapping> mappings) noexcept {
  // heap_info: the arena, the heap before, bytes in use, bytes that may be read and written.
  std::uintptr_t head[4];
  if (read_memory(at, head, sizeof head) != sizeof head) return false;
  auto [arena, before, size, accessible] = head;
  if (size == 0 || size % page != 0 || size > heap_alignment || accessible < size ||
      accessible > heap_alignment || at + size > mapping_end) {
    return false;
  }
  bool first_heap = before == 0;
  if (first_heap ? arena <= at || arena > at + head_sizes[std::size(head_sizes) - 1]
                 : arena / heap_alignment == at / heap_alignment) {
    return false;
  }
  auto holds_arena = [&](const mapping& m) {
    return m.begin <= arena && arena + arena_size <= m.end && m.readable && m.writable;
  };
  if (std::none_of(mappings.begin(), mappings.end(), holds_arena)) return false;
  std::uintptr_t end = at + size;
  for (std::uintptr_t offset : top_offsets) {
    std::uintptr_t top = read_word(arena + offset);
    bool fenced = top / heap_alignment != at / heap_alignment;
    if (fenced && top % unit != 0) continue;
    if (!fenced && (top + header_size > end || top + (read_word(top + 8) & ~flags) != end)) {
      continue;
    }
    if (!first_heap) {
      for (std::uintptr_t head_size : head_sizes) {
        if (add_chain(at, at + head_size, end, false, fenced)) return true;
      }
      continue;
    }
    if (add_chain(at, align_up(arena + arena_size, unit), end, false, fenced)) return true;
    for (std::uintptr_t skip = arena_size / 2; skip < arena_size_max; skip += unit) {
      if (add_chain(at, align_up(arena + skip, unit), end, false, fenced)) return true;
    }
  }
  return false;
}

bool heap_map::build(std::span<const mapping> mappings) noexcept {
  constexpr std::size_t word_count = 1;
  if (!starts_.reserve(word_count) || !marks_.reserve(word_count)) return false;
  // What brk gave is one range; it may be several mappings.
  std::uintptr_t main_begin = 0, main_end = 0;
  for (const mapping& m : mappings) {
    if (!m.readable || !m.writable || m.shared) continue;
    if (m.heap) {
      if (main_end != 0 && main_end != m.begin) return true;
      if (main_begin == 0) main_begin = m.begin;
      main_end = m.end;
    } else if (m.anonymous && !m.main_stack) {
      std::uintptr_t at = align_up(m.begin, heap_alignment);
      for (; at < m.end; at += heap_alignment) add_arena_heap(at, m.end, mappings);
    }
  }
  if (main_begin != 0 && add_chain(main_begin, main_begin, main_end, true, false)) {
    find_main_arena(mappings, main_begin, main_end);
  }
  std::sort(regions_.begin(), regions_.end(),
            [](const region& a, const region& b) { return a.begin < b.begin; });
  mark_cached();
  return true;
}

std::uintptr_t heap_map::main_arena_end() const noexcept {
  return main_arena_ == 0 ? 0 : main_arena_ + arena_size;
}

// It is somewhere in a library's data, and has the address of the top chunk and the size of the heap at their places.
void heap_map::find_main_arena(std::span<const mapping> mappings, std::uintptr_t begin,
                               std::uintptr_t end) noexcept {
  std::uintptr_t words[128];  // on a goroutine's stack, perhaps
  for (const mapping& m : mappings) {
    if (m.anonymous || m.shared || m.device || !m.readable || !m.writable) continue;
    for (std::uintptr_t from = m.begin; from < m.end; from += sizeof words) {
      std::size_t n = read_memory(from, words, std::min(sizeof words, m.end - from));
      for (std::size_t i = 0; i < n / sizeof words[0]; ++i) {
        if (words[i] != last_chunk_) continue;
        std::uintptr_t arena = from + i * sizeof words[0] - top_offsets[0];
        if (read_word(arena + system_memory_offset) == end - begin) main_arena_ = arena;
      }
    }
  }
}

// Visits the chunks in the cache. False: it is none.
template <class Visit>
bool heap_map::walk_cache(std::uintptr_t cache, Visit visit) const noexcept {
  const auto& c = *reinterpret_cast<const thread_cache*>(cache);
  bool any = false;
  for (std::size_t bin = 0; bin < cache_bins; ++bin) {
    std::uintptr_t at = c.entries[bin];
    for (std::size_t left = c.counts[bin]; left > 0; --left) {
      chunk found = find(at);
      if (found.begin != at || at == 0 || !found.in_use) return false;
      std::uintptr_t size = word_at(at - 8) & ~flags;
      if (size != smallest + bin * unit || word_at(at + 8) == 0) return false;
      visit(found);
      any = true;
      // Since 2.32 links are exclusive-ored with the place they lie in; before, the mark was the cache's address.
      std::uintptr_t next = word_at(at);
      at = word_at(at + 8) == cache ? next : next ^ at >> 12;
    }
    if (at != 0) return false;
  }
  return any;
}

void heap_map::mark_cached() noexcept {
  for (std::uintptr_t cache : cache_sized_) {
    chunk itself = find(cache);
    if (!itself.in_use || !walk_cache(cache, [](const chunk&) {})) continue;
    mark(itself);
    walk_cache(cache, [&](const chunk& c) { mark(c); });
  }
}

heap_map::chunk heap_map::find(std::uintptr_t address) const noexcept {
  const region* r =
      std::upper_bound(regions_.begin(), regions_.end(), address,
                       [](std::uintptr_t a, const region& other) { return a < other.begin; });
  if (r == regions_.begin() || address >= (--r)->end) return {};
  // In a header: the first word is the user's of the chunk before, and behind it is that one's end.
  std::uintptr_t inside = address - r->begin;
  if (inside < header_size) return {};
  inside -= header_size;
  std::size_t index = inside / unit;
  std::size_t word = (r->first_bit + index) / 64;
  std::size_t granule_word = r->first_bit / 64 + inside / granule * (granule / unit / 64);
  std::uint64_t bits = starts_[word] & (~std::uint64_t{0} >> (63 - index % 64));
  while (bits == 0 && word > granule_word) bits = starts_[--word];
  std::size_t found;
  if (bits != 0) {
    found = word * 64 + 63 - static_cast<std::size_t>(std::countl_zero(bits)) - r->first_bit;
  } else if (inside >= granule) {
    found = last_start_[r->first_granule + inside / granule - 1];
  } else {
    return {};
  }
  std::uintptr_t at = r->begin + found * unit;
  std::uintptr_t size = word_at(at + 8) & ~flags;
  std::uintptr_t next = at + size;
  // The top, and what lies before a fence, is nobody's.
  bool has_next = next + header_size <= r->end;
  bool in_use = has_next && (word_at(next + 8) & before_in_use) != 0;
  return {at + header_size, next + (has_next ? unit / 2 : 0), r->first_bit + found, in_use};
}

}  // namespace runnel::platform
