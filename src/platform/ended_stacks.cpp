#include "platform/ended_stacks.h"

#include <algorithm>
#include <cstring>

namespace runnel::platform {
namespace {

constexpr std::uintptr_t page = 4096;
// struct pthread has about 2300 bytes; tid lies before, the block behind.
constexpr std::uintptr_t searched_for_tid = 0x400;
constexpr std::uintptr_t searched_for_block = 0x1000;

constexpr std::uintptr_t links_size = 16;

template <class T>
T value_at(std::uintptr_t address) noexcept {
  T value;
  std::memcpy(&value, reinterpret_cast<const void*>(address), sizeof value);
  return value;
}

bool may_hold_stacks(const mapping& m) noexcept {
  return m.anonymous && m.readable && m.writable && !m.shared && !m.main_stack && !m.heap;
}

}  // namespace

bool ended_stacks::learn(std::span<const mapping> mappings, std::uintptr_t descriptor,
                         int tid) noexcept {
  known_ = false;
  listed_.resize(0);
  if (tid == 0) return false;
  const mapping* home = nullptr;
  for (const mapping& m : mappings) {
    if (m.begin <= descriptor && descriptor < m.end && may_hold_stacks(m)) home = &m;
  }
  if (home == nullptr) return false;
  // Each must be there once.
  int tids = 0, blocks = 0;
  for (std::uintptr_t at = links_size; at < searched_for_tid && descriptor + at < home->end;
       at += 4) {
    if (value_at<int>(descriptor + at) != tid) continue;
    tid_at_ = at;
    ++tids;
  }
  for (std::uintptr_t at = 0; at < searched_for_block; at += sizeof(void*)) {
    if (descriptor + at + sizeof(block) > home->end) break;
    auto b = value_at<block>(descriptor + at);
    if (b.begin % page != 0 || b.size % page != 0 || b.guard % page != 0 || b.guard == 0 ||
        b.guard >= b.size || b.begin + b.guard > descriptor || b.begin + b.size <= descriptor ||
        b.begin + b.size > home->end ||
        (b.begin != home->begin && b.begin + b.guard != home->begin)) {
      continue;
    }
    block_at_ = at;
    example_ = b;
    ++blocks;
  }
  from_end_ = example_.begin + example_.size - descriptor;
  known_ = tids == 1 && blocks == 1 && read_list(descriptor);
  return known_;
}

// All threads, those that have ended and were not joined included: a ring, whose links lie right before the number. False:
// it is none, perhaps because somebody is changing it.
bool ended_stacks::read_list(std::uintptr_t first) noexcept {
  constexpr std::size_t most = 1 << 20;
  struct {
    std::uintptr_t next, previous;
  } links;
  static_assert(sizeof links == links_size);
  std::uintptr_t offset = tid_at_ - links_size, at = first + offset, before = 0;
  while (listed_.size() < most) {
    if (read_memory(at, &links, sizeof links) != sizeof links) return false;
    bool closed = at == first + offset && before != 0;
    if (before != 0 && links.previous != before) return false;
    if (closed) return true;
    if (!listed_.push(at - offset)) return false;
    before = at;
    at = links.next;
  }
  return false;
}

bool ended_stacks::is_listed(std::uintptr_t descriptor) const noexcept {
  return std::find(listed_.begin(), listed_.end(), descriptor) != listed_.end();
}

bool ended_stacks::is_ended(std::uintptr_t descriptor, std::uintptr_t block_begin,
                            std::uintptr_t block_end, const mapping& m) const noexcept {
  if (descriptor < m.begin || block_end > m.end || descriptor >= block_end) return false;
  if (descriptor + block_at_ + sizeof(block) > m.end) return false;
  // Not by a direct access: there may be guards.
  block b{};
  if (read_memory(descriptor + block_at_, &b, sizeof b) != sizeof b) return false;
  int tid = 1;
  if (read_memory(descriptor + tid_at_, &tid, sizeof tid) != sizeof tid) return false;
  return b.begin == block_begin && b.begin + b.size == block_end && b.guard != 0 && tid <= 0 &&
         (b.begin == m.begin || b.begin + b.guard == m.begin);
}

// 0: no thread that has ended had its stack there.
std::uintptr_t ended_stacks::end_of_old(const mapping& m) const noexcept {
  if (!known_ || !may_hold_stacks(m)) return 0;
  // Mappings side by side may be told as one: then the stack is of the usual size, if we are to find it.
  for (std::uintptr_t begin : {m.begin - example_.guard, m.begin}) {
    for (std::uintptr_t end : {m.end, begin + example_.size}) {
      std::uintptr_t descriptor = end - from_end_;
      if (is_ended(descriptor, begin, end, m)) {
        return is_listed(descriptor) ? descriptor : end;
      }
    }
  }
  return 0;
}

}  // namespace runnel::platform
