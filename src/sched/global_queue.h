#pragma once
// The global run queue: first in, first out, in blocks of pointers.
//
// Blocks rather than links through the goroutines: taking a batch of a million that wait must not read, one after
// the other, a million cold cache lines. The caller locks.
//
// Invariants
//   a block in the list holds at least one item, blocks_[begin, end)
//   out of memory for a block  =>  items go to `linked_`, through their own links, and are taken last

#include <cstdint>
#include <new>

#include "base/intrusive_queue.h"
#include "sched/g.h"

namespace runnel::sched {

class global_queue {
 public:
  std::int64_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }

  void push_back(runnable* item) noexcept {
    ++size_;
    // Once something is linked the order is kept by linking all that follows.
    if (linked_.empty() && ((tail_ != nullptr && tail_->end < block::capacity) || add_block())) {
      tail_->items[tail_->end++] = item;
    } else {
      linked_.push_back(item);
    }
  }

  void push_back(runnable** items, std::uint32_t count) noexcept {
    for (std::uint32_t i = 0; i < count; ++i) push_back(items[i]);
  }

  // Up to `most` items into `out`; returns how many.
  std::uint32_t pop_front(runnable** out, std::uint32_t most) noexcept {
    std::uint32_t n = 0;
    while (n < most && head_ != nullptr) {
      out[n++] = head_->items[head_->begin++];
      if (head_->begin == head_->end) drop_head();
    }
    while (n < most && !linked_.empty()) out[n++] = linked_.pop_front();
    size_ -= n;
    return n;
  }

  // For looking only.
  template <class Visit>
  void for_each(Visit visit) const {
    for (const block* one = head_; one != nullptr; one = one->next) {
      for (std::uint32_t i = one->begin; i < one->end; ++i) visit(*one->items[i]);
    }
    linked_.for_each(visit);
  }

 private:
  struct block {
    static constexpr std::uint32_t capacity = 126;
    block* next = nullptr;
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    runnable* items[capacity];
  };
  static constexpr int spares_max = 32;

  bool add_block() noexcept {
    block* fresh = spares_;
    if (fresh != nullptr) {
      spares_ = fresh->next;
      --spare_count_;
      fresh->next = nullptr;
      fresh->begin = fresh->end = 0;
    } else {
      fresh = new (std::nothrow) block;
      if (fresh == nullptr) return false;
    }
    if (tail_ == nullptr) {
      head_ = fresh;
    } else {
      tail_->next = fresh;
    }
    tail_ = fresh;
    return true;
  }

  void drop_head() noexcept {
    block* empty = head_;
    head_ = empty->next;
    if (head_ == nullptr) tail_ = nullptr;
    if (spare_count_ < spares_max) {
      empty->next = spares_;
      spares_ = empty;
      ++spare_count_;
    } else {
      delete empty;
    }
  }

  block* head_ = nullptr;
  block* tail_ = nullptr;
  block* spares_ = nullptr;
  int spare_count_ = 0;
  std::int64_t size_ = 0;
  base::intrusive_queue<runnable> linked_;
};

}  // namespace runnel::sched
