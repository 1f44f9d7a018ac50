#include "poll/timer_heap.h"

#include <algorithm>
#include <new>

#include "base/check.h"

namespace runnel::poll {

void timer_heap::place_locked(std::size_t i, const entry& e) noexcept {
  entries_[i] = e;
  if (e.cancellable()) e.node()->index = i;
}

void timer_heap::sift_up_locked(std::size_t i, entry e) noexcept {
  while (i > 0) {
    std::size_t parent = (i - 1) / 4;
    if (entries_[parent].when <= e.when) break;
    place_locked(i, entries_[parent]);
    i = parent;
  }
  place_locked(i, e);
}

void timer_heap::sift_down_locked(std::size_t i, entry e) noexcept {
  const std::size_t n = entries_.size();
  for (;;) {
    std::size_t first = 4 * i + 1;
    if (first >= n) break;
    std::size_t least = first;
    std::size_t last = std::min(first + 4, n);
    for (std::size_t c = first + 1; c < last; ++c) {
      if (entries_[c].when < entries_[least].when) least = c;
    }
    if (e.when <= entries_[least].when) break;
    place_locked(i, entries_[least]);
    i = least;
  }
  place_locked(i, e);
}

void timer_heap::erase_locked(std::size_t i) noexcept {
  entry last = entries_.back();
  entries_.pop_back();
  if (i == entries_.size()) return;
  if (i > 0 && last.when < entries_[(i - 1) / 4].when) {
    sift_up_locked(i, last);
  } else {
    sift_down_locked(i, last);
  }
}

void timer_heap::publish_locked() noexcept {
  next_.store(entries_.empty() ? platform::time_never : entries_.front().when,
              std::memory_order_relaxed);
}

bool timer_heap::add(timer_node& node) noexcept {
  platform::lock_guard hold(lock_);
  entry e{node.when, reinterpret_cast<std::uintptr_t>(&node) | (node.cancellable ? 1u : 0u)};
  try {
    entries_.push_back(e);
  } catch (const std::bad_alloc&) {
    base::fatal("out of memory for timers");
  }
  node.home.store(this, std::memory_order_release);
  sift_up_locked(entries_.size() - 1, e);
  publish_locked();
  return entries_.front().node() == &node;
}

std::size_t timer_heap::take_due(std::int64_t now, std::span<void*> tokens) noexcept {
  platform::lock_guard hold(lock_);
  // Out of the heap first, then claimed: the nodes, which lie on sleeping goroutines' stacks, are fetched
  // meanwhile.
  timer_node* due[take_max];
  std::size_t most = std::min(tokens.size(), take_max);
  std::size_t n = 0;
  while (n < most && !entries_.empty() && entries_.front().when <= now) {
    due[n] = entries_.front().node();
    __builtin_prefetch(due[n], 1);
    ++n;
    erase_locked(0);
  }
  publish_locked();
  std::size_t taken = 0;
  for (std::size_t i = 0; i < n; ++i) {
    timer_node* node = due[i];
    if (void* token = node->claim(*node)) tokens[taken++] = token;
    // Our last touch: remove() trusts a node without a home to be free of us.
    node->home.store(nullptr, std::memory_order_release);
  }
  return taken;
}

bool timer_heap::remove(timer_node& node) noexcept {
  for (;;) {
    timer_heap* heap = node.home.load(std::memory_order_acquire);
    if (heap == nullptr) return false;
    platform::lock_guard hold(heap->lock_);
    // It may have fired, or moved to another heap, since we looked.
    if (node.home.load(std::memory_order_relaxed) != heap) continue;
    heap->erase_locked(node.index);
    node.home.store(nullptr, std::memory_order_relaxed);
    heap->publish_locked();
    return true;
  }
}

void timer_heap::move_all(timer_heap& into) noexcept {
  platform::lock_guard hold_from(lock_);
  platform::lock_guard hold_into(into.lock_);
  for (const entry& e : entries_) {
    try {
      into.entries_.push_back(e);
    } catch (const std::bad_alloc&) {
      base::fatal("out of memory for timers");
    }
    e.node()->home.store(&into, std::memory_order_release);
    into.sift_up_locked(into.entries_.size() - 1, e);
  }
  entries_.clear();
  publish_locked();
  into.publish_locked();
}

void timer_heap::drop_all() noexcept {
  platform::lock_guard hold(lock_);
  for (const entry& e : entries_) e.node()->home.store(nullptr, std::memory_order_release);
  entries_ = {};
  publish_locked();
}

std::size_t timer_heap::size() noexcept {
  platform::lock_guard hold(lock_);
  return entries_.size();
}

}  // namespace runnel::poll
