#pragma once
// Timers whose deadlines come in ascending order: a ring, first in, first out.
//
// Programs sleep for the same few durations again and again, so most deadlines are later than the one before of
// the same kind. Such timers need no heap. The caller locks.
//
// Invariant: deadlines from head to tail never decrease.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace runnel::poll {

struct timer_node;

class timer_lane {
 public:
  struct entry {
    std::int64_t when;
    timer_node* node;
  };

  bool empty() const noexcept { return head_ == tail_; }
  std::size_t size() const noexcept { return tail_ - head_; }
  const entry& front() const noexcept { return ring_[head_ & (ring_.size() - 1)]; }
  // The latest deadline; anything fits behind an empty lane.
  std::int64_t last() const noexcept {
    return empty() ? std::numeric_limits<std::int64_t>::min()
                   : ring_[(tail_ - 1) & (ring_.size() - 1)].when;
  }

  // when >= last(). Throws std::bad_alloc, unchanged then.
  void push(std::int64_t when, timer_node* node) {
    if (size() == ring_.size()) grow();
    ring_[tail_++ & (ring_.size() - 1)] = {when, node};
  }
  void pop() noexcept {
    ++head_;
    // A burst should not cost its memory for ever.
    if (empty() && ring_.size() > shrink_above) clear();
  }
  template <class Visit>
  void for_each(Visit visit) const noexcept {
    for (std::size_t at = head_; at != tail_; ++at) visit(*ring_[at & (ring_.size() - 1)].node);
  }
  void clear() noexcept {
    ring_ = {};
    head_ = tail_ = 0;
  }

 private:
  static constexpr std::size_t smallest = 16, shrink_above = 1 << 20;

  void grow() {
    std::vector<entry> larger(ring_.empty() ? smallest : ring_.size() * 2);
    std::size_t n = size();
    for (std::size_t i = 0; i < n; ++i) larger[i] = ring_[(head_ + i) & (ring_.size() - 1)];
    ring_ = std::move(larger);
    head_ = 0;
    tail_ = n;
  }

  std::vector<entry> ring_;  // its size is a power of two
  std::size_t head_ = 0;     // both only grow
  std::size_t tail_ = 0;
};

}  // namespace runnel::poll
