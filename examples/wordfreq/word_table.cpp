#include "word_table.h"

namespace wordfreq {

namespace {

constexpr std::size_t arena_block_bytes = 256 << 10;

}  // namespace

word_table::word_table(std::span<const word_table* const> tables, unsigned share) {
  std::size_t short_expected = 0;
  std::size_t long_expected = 0;
  for (const word_table* table : tables) {
    short_expected += table->short_.size() / shares;
    long_expected += table->long_.size() / shares;
  }
  short_ = slot_table<short_slot>(short_expected, share_bits);
  long_ = slot_table<long_slot>(long_expected, share_bits);

  const std::uint64_t first = std::uint64_t{share} << (64 - share_bits);
  const std::uint64_t last = first | (~std::uint64_t{0} >> share_bits);
  for (const word_table* table : tables) {
    table->short_.for_each(first, last, [&](const short_slot& from) {
      count_short({from.hash, from.tail}, from.count);
    });
    table->long_.for_each(first, last, [&](const long_slot& from) {
      long_slot& to = long_.find(from.hash, [&](const long_slot& slot) {
        return slot.length == from.length && std::memcmp(slot.text, from.text, from.length) == 0;
      });
      if (to.hash == 0) {
        to = from;
      } else {
        to.count += from.count;
      }
    });
  }
}

void word_table::flush() {
  for (short_word& word : on_the_way_) {
    if (word.hash != 0) count_short(std::exchange(word, {}), 1);
  }
}

std::uint64_t word_table::long_hash(const char* word, std::uint32_t length) {
  const auto mix = [](std::uint64_t hash, std::uint64_t piece) {
    return (std::rotl(hash, 27) ^ piece) * detail::odd_a;
  };
  std::uint64_t hash = length;
  std::uint32_t i = 0;
  for (; i + 8 <= length; i += 8) hash = mix(hash, detail::load(word + i));
  // The last piece overlaps the one before, so that nothing behind the word is taken in.
  hash = mix(hash, detail::load(word + length - 8));
  hash = (hash ^ (hash >> 32)) * detail::odd_b;
  return hash | 1;  // 0 is no hash
}

void word_table::count_long(const char* word, std::uint32_t length) {
  const std::uint64_t hash = long_hash(word, length);
  long_slot& slot = long_.find(hash, [&](const long_slot& s) {
    return s.length == length && std::memcmp(s.text, word, length) == 0;
  });
  if (slot.hash == 0) slot = {hash, keep(word, length), length, 0};
  ++slot.count;
}

const char* word_table::keep(const char* word, std::uint32_t length) {
  if (arena_left_ < length) {
    arena_.push_back(std::make_unique_for_overwrite<char[]>(arena_block_bytes));
    arena_left_ = arena_block_bytes;
  }
  char* place = arena_.back().get() + (arena_block_bytes - arena_left_);
  std::memcpy(place, word, length);
  arena_left_ -= length;
  return place;
}

}  // namespace wordfreq
