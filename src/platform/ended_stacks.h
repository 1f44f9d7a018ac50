#pragma once
// Stacks of threads that have ended. glibc keeps them for threads to come, with all that was left on them: for looking for
// pointers they mean nothing.
//
// glibc tells nobody, so nothing is believed that does not check. Its description of a thread lies at the stack's upper end, at the same
// distance for all threads; it has the stack's place and size, its guard's, and the thread's number, which the kernel sets to 0 when
// the thread is gone, and pthread_join to -1. Where in it, is learned from a thread that lives and of which these are known.
//
// Invariants
//   a stack is told of  =>  its description names that mapping and its guard, the number in it is not positive, and the stack is glibc's own
//   the description itself is told of  =>  glibc has it in no list of threads: it keeps it for one to come. In the list it may
//     have what the thread has returned, or what one that is just being made begins with
// Used while everybody else stands still. It does not allocate.

#include <cstddef>
#include <cstdint>
#include <span>

#include "platform/memory_map.h"

namespace runnel::platform {

class ended_stacks {
 public:
  // From a thread that pthread_create has made: its pthread_t and its number. False: it is not what we know; there
  // are no ended stacks then.
  bool learn(std::span<const mapping> mappings, std::uintptr_t descriptor, int tid) noexcept;

  // Calls visit(begin, end) for every such stack.
  template <class Visit>
  void for_each(std::span<const mapping> mappings, Visit visit) const noexcept {
    for (const mapping& m : mappings) {
      std::uintptr_t end = end_of_old(m);
      if (end != 0) visit(m.begin, end);
    }
  }

 private:
  // Three words in a row in glibc's description of a thread. The guard is part of the block.
  struct block {
    std::uintptr_t begin;
    std::uintptr_t size;
    std::uintptr_t guard;
  };
  bool read_list(std::uintptr_t first) noexcept;
  std::uintptr_t end_of_old(const mapping& m) const noexcept;
  bool is_listed(std::uintptr_t descriptor) const noexcept;
  bool is_ended(std::uintptr_t descriptor, std::uintptr_t block_begin, std::uintptr_t block_end,
                const mapping& m) const noexcept;

  bool known_ = false;
  block example_{};
  std::uintptr_t from_end_ = 0;  // the descriptor's distance from the block's end
  std::uintptr_t tid_at_ = 0;    // in the descriptor
  std::uintptr_t block_at_ = 0;
  page_array<std::uintptr_t> listed_;  // descriptors
};

}  // namespace runnel::platform
