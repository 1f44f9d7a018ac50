#include "platform/frame_cache.h"

#include "platform/frame_rule.h"

namespace runnel::platform {
namespace {

using base = frame_rule::base;

constexpr std::uintptr_t word = sizeof(void*);

// A slot: where the rule is from (2 bits), the two distances in words (15 and 11), the address without the bits that say
// which slot it is.
constexpr unsigned base_bits = 2;
constexpr unsigned cfa_bits = 15;
constexpr unsigned saved_bits = 11;
constexpr unsigned rule_bits = base_bits + cfa_bits + saved_bits;

constexpr bool fits(std::uint32_t bytes, unsigned bits) {
  return bytes % word == 0 && bytes / word < (std::uint32_t{1} << bits);
}

constexpr std::uint64_t pack(const frame_rule& r) {
  return static_cast<std::uint64_t>(r.from) | (r.cfa / word) << base_bits |
         (r.saved / word) << (base_bits + cfa_bits);
}

constexpr frame_rule unpack(std::uint64_t v) {
  auto bits = [v](unsigned from, unsigned count) {
    return static_cast<std::uint32_t>(v >> from & ((std::uint64_t{1} << count) - 1));
  };
  return {static_cast<base>(bits(0, base_bits)),
          bits(base_bits, cfa_bits) * static_cast<std::uint32_t>(word),
          bits(base_bits + cfa_bits, saved_bits) * static_cast<std::uint32_t>(word)};
}

std::uintptr_t load(std::uintptr_t address) {
  return *reinterpret_cast<const std::uintptr_t*>(address);  // NOLINT
}

}  // namespace

[[gnu::noinline]] int frame_cache::walk(const void* end, void** frames, int most) noexcept {
  // This function's frame has a frame pointer, since it asks for it: the caller's state lies there.
  auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  auto stack_end = reinterpret_cast<std::uintptr_t>(end);
  std::uintptr_t frame_pointer = load(here);
  std::uintptr_t pc = load(here + word);
  std::uintptr_t stack_pointer = here + 2 * word;
  for (int count = 0;;) {
    if (pc == 0 || count == most) return count;
    frames[count++] = reinterpret_cast<void*>(pc);  // NOLINT
    auto tag = static_cast<std::uint64_t>(pc >> slot_bits);
    if (tag >> (64 - rule_bits) != 0) return -1;
    std::atomic<std::uint64_t>& slot = slots_[pc & ((std::uintptr_t{1} << slot_bits) - 1)];
    std::uint64_t known = slot.load(std::memory_order_relaxed);
    frame_rule rule = unpack(known);
    if (known >> rule_bits != tag || rule.from == base::unknown) {
      rule = find_frame_rule(pc);
      if (rule.from == base::unknown || !fits(rule.cfa, cfa_bits) ||
          !fits(rule.saved, saved_bits)) {
        return -1;
      }
      slot.store(tag << rule_bits | pack(rule), std::memory_order_relaxed);
    }
    if (rule.from == base::outermost) return count;
    std::uintptr_t caller =
        (rule.from == base::frame_pointer ? frame_pointer : stack_pointer) + rule.cfa;
    if (caller <= stack_pointer || caller > stack_end || caller % word != 0) return -1;
    if (rule.saved != 0) {
      if (rule.saved > caller - here) return -1;
      frame_pointer = load(caller - rule.saved);
    }
    pc = load(caller - word);
    stack_pointer = caller;
  }
}

}  // namespace runnel::platform
