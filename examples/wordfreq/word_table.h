// How often each word was seen. For one owner at a time.
//
// Words of up to 16 bytes, which almost all are, need no text: the hash is made so that the first
// half of the word can be had back from it and the second half, and these two are in the slot. To
// compare words is to compare two numbers. The text of longer words lives in an arena.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "slot_table.h"

namespace wordfreq {

class word_table {
 public:
  // The words of a table fall into shares by their hashes, equally large ones but for chance.
  static constexpr unsigned share_bits = 8;
  static constexpr unsigned shares = 1 << share_bits;

  word_table() = default;

  // The words of one share, put together from several tables. Those have to outlive this one.
  word_table(std::span<const word_table* const> tables, unsigned share);

  // Counts a word once more. It has at least one byte, none of them NUL, and 16 bytes can be
  // read from its first one on. It may show in the table only after flush().
  void add(const char* word, std::uint32_t length);
  void flush();

  // Calls f(std::string_view, std::uint64_t count) for every word. The text lives during the call.
  template <class F>
  void for_each(F f) const;

  std::size_t size() const { return short_.size() + long_.size(); }

 private:
  struct short_word {    // padded with NULs; as a slot's key
    std::uint64_t hash;  // from both halves; 0: this is no word
    std::uint64_t tail;  // the second half
  };
  struct short_slot {
    std::uint64_t hash;
    std::uint64_t tail;
    std::uint64_t count;
  };
  struct long_slot {
    std::uint64_t hash;
    const char* text;
    std::uint64_t length : 8;
    std::uint64_t count : 56;
  };

  static std::uint64_t short_hash(std::uint64_t head, std::uint64_t tail);
  static std::uint64_t short_head(std::uint64_t hash, std::uint64_t tail);
  static std::uint64_t long_hash(const char* word, std::uint32_t length);

  void count_short(short_word word, std::uint64_t count);
  void count_long(const char* word, std::uint32_t length);
  const char* keep(const char* word, std::uint32_t length);

  slot_table<short_slot> short_;
  slot_table<long_slot> long_;
  std::vector<std::unique_ptr<char[]>> arena_;
  std::size_t arena_left_ = 0;  // bytes at the end of arena_.back()

  // Words seen and not counted yet: while they are here, their slots travel to the cache.
  std::array<short_word, 16> on_the_way_{};
  std::size_t next_ = 0;
};

// --- what every word goes through --------------------------------------------------------------

namespace detail {

inline std::uint64_t load(const char* p) {
  std::uint64_t x;
  std::memcpy(&x, p, sizeof x);
  return x;
}

// The first n of the 8 bytes, NULs for the others.
inline std::uint64_t first_bytes(std::uint64_t x, std::uint32_t n) {
  static_assert(std::endian::native == std::endian::little);
  return n >= 8 ? x : x & ((std::uint64_t{1} << (8 * n)) - 1);
}

inline constexpr std::uint64_t odd_a = 0x9e3779b97f4a7c15;
inline constexpr std::uint64_t odd_b = 0xd6e8feb86659fd93;
inline constexpr std::uint64_t odd_c = 0xff51afd7ed558ccd;

// The x for which odd * x == 1: Newton's method, which doubles the right bits at every step.
constexpr std::uint64_t inverse(std::uint64_t odd) {
  std::uint64_t x = odd;
  for (int step = 0; step < 5; ++step) x *= 2 - odd * x;
  return x;
}

}  // namespace detail

// For any one tail this is one to one: every step can be undone.
inline std::uint64_t word_table::short_hash(std::uint64_t head, std::uint64_t tail) {
  std::uint64_t h = (head ^ (tail * detail::odd_c)) * detail::odd_a;
  h ^= h >> 32;
  return h * detail::odd_b;
}

inline std::uint64_t word_table::short_head(std::uint64_t hash, std::uint64_t tail) {
  std::uint64_t h = hash * detail::inverse(detail::odd_b);
  h ^= h >> 32;
  return (h * detail::inverse(detail::odd_a)) ^ (tail * detail::odd_c);
}

inline void word_table::add(const char* word, std::uint32_t length) {
  const std::uint64_t head = detail::first_bytes(detail::load(word), length);
  const std::uint64_t tail =
      length <= 8 ? 0 : detail::first_bytes(detail::load(word + 8), length - 8);
  const std::uint64_t hash = short_hash(head, tail);
  if (length > 16 || hash == 0)
    return count_long(word, length);  // of up to 8 bytes none has hash 0
  short_.prefetch(hash);
  short_word& place = on_the_way_[next_++ % on_the_way_.size()];
  if (place.hash != 0) count_short(place, 1);
  place = {hash, tail};
}

inline void word_table::count_short(short_word word, std::uint64_t count) {
  short_slot& slot =
      short_.find(word.hash, [&](const short_slot& s) { return s.tail == word.tail; });
  slot.hash = word.hash;
  slot.tail = word.tail;
  slot.count += count;
}

template <class F>
void word_table::for_each(F f) const {
  constexpr std::uint64_t all = ~std::uint64_t{0};
  short_.for_each(0, all, [&](const short_slot& slot) {
    const std::uint64_t halves[] = {short_head(slot.hash, slot.tail), slot.tail};
    const std::uint64_t last = halves[slot.tail != 0];
    const auto length =
        (slot.tail != 0 ? 16u : 8u) - static_cast<unsigned>(std::countl_zero(last)) / 8;
    f(std::string_view(reinterpret_cast<const char*>(halves), length), slot.count);
  });
  long_.for_each(0, all, [&](const long_slot& slot) {
    f(std::string_view(slot.text, slot.length), std::uint64_t{slot.count});
  });
}

}  // namespace wordfreq
