#include "word_counter.h"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace wordfreq {

namespace {

std::uint64_t load(const char* p) {
  std::uint64_t x;
  std::memcpy(&x, p, sizeof x);
  return x;
}

// How many of the 8 bytes stand before the first NUL, 8 if there is none.
unsigned letters_first(std::uint64_t x) {
  // The top bit of a byte is set if it is NUL, and may be set in those behind the first NUL.
  const std::uint64_t nul = (x - 0x0101010101010101) & ~x & 0x8080808080808080;
  return static_cast<unsigned>(std::countr_zero(nul)) / 8;
}

unsigned nuls_first(std::uint64_t x) { return static_cast<unsigned>(std::countr_zero(x)) / 8; }

}  // namespace

void word_counter::count(const word_chunk& chunk) {
  static_assert(readable_behind >= 16, "8 bytes at a time, and what word_table wants");
  std::uint64_t words = 0;
  for (const char* p = chunk.begin;;) {
    std::uint64_t x = load(p);
    while (x == 0 && p < chunk.end) x = load(p += 8);
    p += nuls_first(x);
    if (p >= chunk.end) break;

    std::size_t length = letters_first(load(p));
    if (length == 8) {
      unsigned more;
      do {
        more = letters_first(load(p + length));
        length += more;
      } while (more == 8);
    }
    if (length <= word_bytes_max) {
      words_.add(p, static_cast<std::uint32_t>(length));
      ++words;
    } else {
      ++too_long_;
    }
    p += length + 1;
  }
  words_.flush();

  words_counted_ += words;
  // Not fetch_add: no other thread writes these.
  bytes_.store(bytes_.load(std::memory_order_relaxed) + chunk.bytes, std::memory_order_relaxed);
  files_.store(files_.load(std::memory_order_relaxed) + chunk.last, std::memory_order_relaxed);
}

tally word_counter::tally() const {
  wordfreq::tally t;
  t.files = progress().files;
  t.bytes = progress().bytes;
  t.words = words_counted_;
  t.too_long = too_long_;
  return t;
}

}  // namespace wordfreq
