// Puts the tables of several counters together, share by share. Shares have no word in common, so
// each can be merged by itself, all of them at the same time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "word_table.h"

namespace wordfreq {

struct ranked_word {
  std::string text;
  std::uint64_t count;
};

struct ranking {
  std::uint64_t distinct = 0;
  std::vector<ranked_word> top;  // the most frequent first; of equally frequent ones by their bytes
};

// Merges a share, 0 to word_table::shares - 1, and ranks its words, up to `top` of them.
ranking merge_share(std::span<const word_table* const> tables, unsigned share, std::size_t top);

// Makes one ranking of those of all shares.
ranking merge_rankings(std::vector<ranking> of_shares, std::size_t top);

}  // namespace wordfreq
