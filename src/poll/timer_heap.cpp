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

std::int64_t timer_heap::earliest_locked() const noexcept {
  std::int64_t least = entries_.empty() ? platform::time_never : entries_.front().when;
  for (const timer_lane& lane : lanes_) {
    if (!lane.empty()) least = std::min(least, lane.front().when);
  }
  return least;
}

void timer_heap::publish_locked() noexcept {
  next_.store(earliest_locked(), std::memory_order_relaxed);
}

void timer_heap::insert_locked(timer_node& node) {
  if (!node.cancellable) {
    // The lane whose end is nearest: a far deadline in a lane keeps nearer ones out.
    timer_lane* best = nullptr;
    for (timer_lane& lane : lanes_) {
      if (lane.last() <= node.when && (best == nullptr || lane.last() > best->last())) best = &lane;
    }
    if (best != nullptr) {
      best->push(node.when, &node);
      node.home.store(this, std::memory_order_release);
      return;
    }
  }
  entry e{node.when, reinterpret_cast<std::uintptr_t>(&node) | (node.cancellable ? 1u : 0u)};
  entries_.push_back(e);
  node.home.store(this, std::memory_order_release);
  sift_up_locked(entries_.size() - 1, e);
}

bool timer_heap::add(timer_node& node) noexcept {
  platform::lock_guard hold(lock_);
  std::int64_t before = next_.load(std::memory_order_relaxed);
  try {
    insert_locked(node);
  } catch (const std::bad_alloc&) {
    base::fatal("out of memory for timers");
  }
  if (node.when >= before) return false;
  next_.store(node.when, std::memory_order_relaxed);
  return true;
}

timer_node* timer_heap::pop_due_locked(std::int64_t now) noexcept {
  timer_lane* first = nullptr;
  std::int64_t least = entries_.empty() ? platform::time_never : entries_.front().when;
  for (timer_lane& lane : lanes_) {
    if (!lane.empty() && lane.front().when < least) {
      least = lane.front().when;
      first = &lane;
    }
  }
  if (least > now || least == platform::time_never) return nullptr;
  timer_node* node;
  if (first != nullptr) {
    node = first->front().node;
    first->pop();
  } else {
    node = entries_.front().node();
    erase_locked(0);
  }
  return node;
}

std::size_t timer_heap::take_due(std::int64_t now, std::span<void*> tokens) noexcept {
  platform::lock_guard hold(lock_);
  // Out of the heap first, then claimed: the nodes, which lie on sleeping goroutines' stacks, are fetched
  // meanwhile.
  timer_node* due[take_max];
  std::size_t most = std::min(tokens.size(), take_max);
  std::size_t n = 0;
  while (n < most && (due[n] = pop_due_locked(now)) != nullptr) __builtin_prefetch(due[n++], 1);
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
  try {
    for (const entry& e : entries_) into.insert_locked(*e.node());
    for (timer_lane& lane : lanes_) {
      for (; !lane.empty(); lane.pop()) into.insert_locked(*lane.front().node);
    }
  } catch (const std::bad_alloc&) {
    base::fatal("out of memory for timers");
  }
  entries_.clear();
  publish_locked();
  into.publish_locked();
}

void timer_heap::drop_all(void (*dropped)(timer_node&) noexcept) noexcept {
  platform::lock_guard hold(lock_);
  for (const entry& e : entries_) {
    if (dropped != nullptr && e.node()->owns_itself) dropped(*e.node());
    e.node()->home.store(nullptr, std::memory_order_release);
  }
  entries_ = {};
  for (timer_lane& lane : lanes_) {
    for (; !lane.empty(); lane.pop())
      lane.front().node->home.store(nullptr, std::memory_order_release);
    lane.clear();
  }
  publish_locked();
}

std::size_t timer_heap::size() noexcept {
  platform::lock_guard hold(lock_);
  std::size_t n = entries_.size();
  for (const timer_lane& lane : lanes_) n += lane.size();
  return n;
}

}  // namespace runnel::poll
