#pragma once
// Walks the calling thread's stack, tens of times faster than an unwinder, which interprets tables at every frame: what a
// return address's frame looks like (frame_rule.h) is looked up once and remembered.
//
// Invariants
//   a slot != 0  =>  its rule is that of exactly one return address: the slot's number and the slot's tag give it
//   every word that is read lies between the caller's frame and `end`
// Any thread may walk at any time; a slot is one word. A library that was unloaded and replaced by another at the same
// addresses may leave wrong rules behind: a walk then ends early, or shows wrong calls, but reads nothing outside.

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace runnel::platform {

class frame_cache {
 public:
  // Stores at most `most` return addresses, innermost first, beginning with the caller's own; returns how many. `end`: of
  // the stack. -1: some frame is one that only an unwinder can step from.
  int walk(const void* end, void** frames, int most) noexcept;

 private:
  static constexpr unsigned slot_bits = 11;
  std::atomic<std::uint64_t> slots_[std::size_t{1} << slot_bits] = {};
};

}  // namespace runnel::platform
