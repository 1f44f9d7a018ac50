#include "merge.h"

#include <algorithm>
#include <iterator>
#include <string_view>

namespace wordfreq {

namespace {

bool before(std::uint64_t count_a, std::string_view a, std::uint64_t count_b, std::string_view b) {
  return count_a != count_b ? count_a > count_b : a < b;
}

bool word_before(const ranked_word& a, const ranked_word& b) {
  return before(a.count, a.text, b.count, b.text);
}

// Keeps the best of all words offered: a heap with the last of them at the front.
class best_words {
 public:
  explicit best_words(std::size_t top) : top_(top) {}

  void offer(std::string_view text, std::uint64_t count) {
    if (heap_.size() == top_) {
      if (top_ == 0 || !before(count, text, heap_.front().count, heap_.front().text)) return;
      std::ranges::pop_heap(heap_, word_before);
      heap_.pop_back();
    }
    heap_.push_back({std::string(text), count});
    std::ranges::push_heap(heap_, word_before);
  }

  std::vector<ranked_word> in_order() {
    std::ranges::sort_heap(heap_, word_before);
    return std::move(heap_);
  }

 private:
  std::size_t top_;
  std::vector<ranked_word> heap_;
};

}  // namespace

ranking merge_share(std::span<const word_table* const> tables, unsigned share, std::size_t top) {
  const word_table merged(tables, share);
  best_words best(top);
  merged.for_each([&](std::string_view text, std::uint64_t count) { best.offer(text, count); });
  return {merged.size(), best.in_order()};
}

ranking merge_rankings(std::vector<ranking> of_shares, std::size_t top) {
  ranking all;
  for (ranking& share : of_shares) {
    all.distinct += share.distinct;
    std::ranges::move(share.top, std::back_inserter(all.top));
  }
  const std::size_t kept = std::min(top, all.top.size());
  std::ranges::partial_sort(all.top, all.top.begin() + static_cast<std::ptrdiff_t>(kept),
                            word_before);
  all.top.resize(kept);
  return all;
}

}  // namespace wordfreq
