#include "memory/stack_space.h"

#include <algorithm>
#include <bit>
#include <new>

#include "base/check.h"
#include "platform/address_space.h"
#include "platform/keep_errno.h"
#include "platform/sanitizer.h"

namespace runnel::memory {
namespace {

constexpr std::size_t first_arena = 16 << 20;
constexpr std::size_t largest_arena = std::size_t{4} << 30;
constexpr std::size_t longest_guard_run = 64;

}  // namespace

std::size_t stack_space::slot_size_for(std::size_t bytes) noexcept {
  constexpr std::size_t limit = std::size_t{1} << 40;
  return std::bit_ceil(std::clamp(bytes, smallest_slot, limit));
}

bool stack_space::grow_locked() noexcept {
  if (arena_count_.load(std::memory_order_relaxed) == arenas_max) return false;
  std::size_t want = std::max(next_arena_ == 0 ? first_arena : next_arena_, slot_size_);
  // When a large arena is refused a small one may still do: containers limit address space too.
  for (std::size_t size = want; size >= slot_size_; size /= 2) {
    auto* begin = static_cast<char*>(platform::reserve(size, platform::page_size()));
    if (begin == nullptr) continue;
    platform::register_leak_root(begin, size);
    std::size_t count = arena_count_.load(std::memory_order_relaxed);
    arenas_[count] = {begin, begin + size};
    arena_count_.store(count + 1, std::memory_order_release);
    next_ = guarded_end_ = begin;
    arena_end_ = begin + size;
    next_arena_ = std::min(want * 2, largest_arena);
    return true;
  }
  return false;
}

// Light guards cost page-table pages: run ahead no further than the program has shown to need.
bool stack_space::guard_ahead_locked() noexcept {
  platform::range ranges[longest_guard_run];
  std::size_t left = static_cast<std::size_t>(arena_end_ - guarded_end_) / slot_size_;
  std::size_t run = std::min({guard_run_, longest_guard_run, left});
  for (std::size_t i = 0; i < run; ++i) {
    ranges[i] = {guarded_end_ + i * slot_size_, guard_size};
  }
  std::size_t done = platform::install_guards({ranges, run});
  if (done < run && !unguarded_reported_) {
    unguarded_reported_ = true;
    base::write_error(
        "runnel: stack guards are exhausted (vm.max_map_count); further goroutine stacks are not "
        "guarded. Linux 6.13 and newer have no such limit.\n");
  }
  guarded_end_ += run * slot_size_;
  guard_run_ = std::min(guard_run_ * 2, longest_guard_run);
  return true;
}

stack_slot stack_space::take() noexcept {
  platform::keep_errno keep;
  platform::lock_guard hold(lock_);
  if (!cold_.empty()) {
    stack_slot slot = cold_.back();
    cold_.pop_back();
    return slot;
  }
  if (next_ == arena_end_ && !grow_locked()) return {};
  if (next_ == guarded_end_) guard_ahead_locked();
  std::size_t colour = handed_out_.load(std::memory_order_relaxed);
  stack_slot slot{next_, slot_size_, guard_size, colour};
  handed_out_.store(colour + 1, std::memory_order_release);
  next_ += slot_size_;
  platform::register_stack_with_valgrind(slot.lowest(), slot.top());
  return slot;
}

void stack_space::give_back(const stack_slot* slots, std::size_t count) noexcept {
  constexpr std::size_t batch = 64;
  platform::range ranges[batch];
  for (std::size_t done = 0; done < count;) {
    std::size_t n = std::min(batch, count - done);
    for (std::size_t i = 0; i < n; ++i) {
      const stack_slot& s = slots[done + i];
      ranges[i] = {s.lowest(), s.size - s.guard};
    }
    platform::discard({ranges, n});
    platform::lock_guard hold(lock_);
    // Out of memory for the list: the slots are forgotten, which costs address space only.
    try {
      cold_.insert(cold_.end(), slots + done, slots + done + n);
    } catch (const std::bad_alloc&) {
    }
    done += n;
  }
}

}  // namespace runnel::memory
