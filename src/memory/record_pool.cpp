#include "memory/record_pool.h"

#include <algorithm>
#include <new>

#include "platform/address_space.h"
#include "platform/sanitizer.h"

namespace runnel::memory {
namespace {

constexpr std::size_t first_slab = 64 << 10;
constexpr std::size_t largest_slab = 8 << 20;
constexpr std::size_t huge_page = 2 << 20;

}  // namespace

bool record_central::grow_locked(class_state& state, std::size_t block) noexcept {
  std::size_t size = std::max(state.slab_size, first_slab);
  auto* begin = static_cast<char*>(
      platform::reserve(size, size >= huge_page ? huge_page : platform::page_size()));
  if (begin == nullptr) return false;
  // Many goroutines at once: fewer page faults.
  if (size >= huge_page) platform::prefer_huge_pages(begin, size);
  platform::register_leak_root(begin, size);
  state.slab_next = begin + block;
  state.slab_end = begin + size / block * block;
  slabs_.store(::new (begin)
                   record_slab{slabs_.load(std::memory_order_relaxed), state.slab_end, block},
               std::memory_order_release);
  state.slab_size = std::min(size * 2, largest_slab);
  return true;
}

record_chain record_central::take(std::size_t size_class) noexcept {
  std::size_t block = record_sizes[size_class];
  platform::lock_guard hold(lock_);
  class_state& state = classes_[size_class];
  if (record_block* head = state.chains) {
    state.chains = next_chain(head);
    return {head, batch};
  }
  if (state.loose.head != nullptr) {
    record_chain all = state.loose;
    state.loose = {};
    return all;
  }
  if (state.slab_next == state.slab_end && !grow_locked(state, block)) return {};
  // Linked in ascending order, the way they will be used.
  record_chain fresh;
  auto left = static_cast<std::size_t>(state.slab_end - state.slab_next) / block;
  fresh.count = std::min(batch, left);
  for (std::size_t i = fresh.count; i-- > 0;) {
    auto* b = reinterpret_cast<record_block*>(state.slab_next + i * block);
    b->next = fresh.head;
    fresh.head = b;
  }
  state.slab_next += fresh.count * block;
  return fresh;
}

void record_central::give(std::size_t size_class, record_chain chain) noexcept {
  if (chain.head == nullptr) return;
  platform::lock_guard hold(lock_);
  class_state& state = classes_[size_class];
  if (chain.count == batch) {
    next_chain(chain.head) = state.chains;
    state.chains = chain.head;
    return;
  }
  while (record_block* b = chain.head) {
    chain.head = b->next;
    b->next = state.loose.head;
    state.loose.head = b;
    if (++state.loose.count == batch) {
      next_chain(b) = state.chains;
      state.chains = b;
      state.loose = {};
    }
  }
}

void record_cache::spill(std::size_t size_class, record_central& central) noexcept {
  record_chain& list = lists_[size_class];
  record_chain out{list.head, record_central::batch};
  record_block* last = list.head;
  for (std::size_t i = 1; i < record_central::batch; ++i) last = last->next;
  list.head = last->next;
  list.count -= record_central::batch;
  last->next = nullptr;
  central.give(size_class, out);
}

void record_cache::flush(record_central& central) noexcept {
  for (std::size_t c = 0; c < record_classes; ++c) {
    while (lists_[c].count > record_central::batch) spill(c, central);
    central.give(c, lists_[c]);
    lists_[c] = {};
  }
}

}  // namespace runnel::memory
