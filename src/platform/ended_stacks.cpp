#include "platform/ended_stacks.h"

#include <cstring>

namespace runnel::platform {
namespace {

constexpr std::uintptr_t page = 4096;
// struct pthread has about 2300 bytes; tid lies before, the block behind.
constexpr std::uintptr_t searched_for_tid = 0x400;
constexpr std::uintptr_t searched_for_block = 0x1000;

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
  if (tid == 0) return false;
  const mapping* home = nullptr;
  for (const mapping& m : mappings) {
    if (m.begin <= descriptor && descriptor < m.end && may_hold_stacks(m)) home = &m;
  }
  if (home == nullptr) return false;
  // Each must be there once.
  int tids = 0, blocks = 0;
  for (std::uintptr_t at = 0; at < searched_for_tid && descriptor + at < home->end; at += 4) {
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
  known_ = tids == 1 && blocks == 1;
  return known_;
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
std::uintptr_t ended_stacks::end_of_frames(const mapping& m) const noexcept {
  if (!known_ || !may_hold_stacks(m)) return 0;
  // Mappings side by side may be told as one: then the stack is of the usual size, if we are to find it.
  for (std::uintptr_t begin : {m.begin - example_.guard, m.begin}) {
    for (std::uintptr_t end : {m.end, begin + example_.size}) {
      std::uintptr_t descriptor = end - from_end_;
      if (is_ended(descriptor, begin, end, m)) return descriptor;
    }
  }
  return 0;
}

}  // namespace runnel::platform
