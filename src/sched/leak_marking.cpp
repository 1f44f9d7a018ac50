#include "sched/leak_marking.h"

#include <algorithm>
#include <utility>

#include "platform/context.h"
#include "sched/runtime.h"

namespace runnel::sched {
namespace {

// Some programs keep bits of their own above an address.
constexpr std::uintptr_t address_bits = (std::uintptr_t{1} << 48) - 1;

std::uintptr_t number(const void* p) noexcept { return reinterpret_cast<std::uintptr_t>(p); }

template <class Range>
const Range* range_of(const platform::page_array<Range>& sorted, std::uintptr_t address) noexcept {
  const Range* after =
      std::upper_bound(sorted.begin(), sorted.end(), address,
                       [](std::uintptr_t a, const Range& r) { return a < r.begin; });
  if (after == sorted.begin() || address >= after[-1].end) return nullptr;
  return after - 1;
}

}  // namespace

bool leak_marking::prepare(std::span<const platform::mapping> mappings) noexcept {
  if (!heap_.build(mappings)) return false;
  bool good = true;
  rt().gs.for_each_space([&](const memory::stack_space& space) {
    space.for_each_arena([&](char* begin, char* end, std::size_t used, std::size_t colour) {
      good = good && arenas_.push({number(begin), number(end), space.slot_size(), used, colour, 0});
    });
  });
  for (const memory::record_slab* s = rt().records.slabs(); s != nullptr; s = s->next) {
    good = good && slabs_.push({number(s), number(s->end), s->block, 0});
  }
  auto by_address = [](const auto& a, const auto& b) { return a.begin < b.begin; };
  std::sort(arenas_.begin(), arenas_.end(), by_address);
  std::sort(slabs_.begin(), slabs_.end(), by_address);
  std::size_t slots = 0, records = 0;
  for (arena& a : arenas_) {
    a.first_slot = slots;
    slots += a.used;
  }
  for (slab& s : slabs_) {
    s.first_record = records;
    records += (s.end - s.begin) / s.block;
  }
  for_each_range([&](std::uintptr_t begin, std::uintptr_t end) {
    if (begin == end) return;
    lowest_ = std::min(lowest_, begin);
    highest_ = std::max(highest_, end);
  });
  return good && slots_.resize(slots) && records_.resize(records);
}

leak_marking::slot* leak_marking::find_slot(std::uintptr_t address, const arena** in) noexcept {
  const arena* a = range_of(arenas_, address);
  if (a == nullptr) return nullptr;
  std::size_t index = (address - a->begin) / a->slot_size;
  if (in != nullptr) *in = a;
  return index < a->used ? &slots_[a->first_slot + index] : nullptr;
}

memory::stack_slot leak_marking::place(const arena& a, std::uintptr_t address) noexcept {
  std::size_t index = (address - a.begin) / a.slot_size;
  return {reinterpret_cast<char*>(a.begin + index * a.slot_size), a.slot_size,
          memory::stack_space::guard_size, a.first_colour + index};
}

// True: the address is a stack's, whatever it means.
bool leak_marking::in_arena(std::uintptr_t value, finder by, std::uintptr_t at) noexcept {
  const arena* a = nullptr;
  slot* s = find_slot(value, &a);
  if (a == nullptr) return false;
  if (s == nullptr || s->live) return true;
  const g& one = *place_g(place(*a, value));
  if (one.state.load(std::memory_order_relaxed) == g_state::idle) return true;
  // Below its stack pointer is nothing any more. That itself, and the one it began with, were in the hands of whoever
  // switched to it; there lie frames of the runtime.
  bool frames =
      value < number(&one) - platform::entry_frame_size && value != number(one.context.sp);
  if (value >= lowest_used(*s, one) && (frames || by == finder::thread)) {
    make_live(*s, one, at);
  }
  return true;
}

bool leak_marking::in_slab(std::uintptr_t value, std::uintptr_t at) noexcept {
  const slab* s = range_of(slabs_, value);
  if (s == nullptr) return false;
  std::uintptr_t inside = value - s->begin, index = inside / s->block;
  std::uintptr_t begin = s->begin + index * s->block, end = begin + s->block;
  // The first block is the slab's own.
  bool& seen = records_[s->first_record + index];
  if (index == 0 || seen || value - begin < memory::record_alignment) return true;
  seen = true;
  note(begin, at);
  // Whoever has not filled it yet has no closure there either.
  std::uint32_t size = reinterpret_cast<const task*>(begin)->closure_size;
  std::uintptr_t closure = begin + memory::record_alignment;
  later(closure, std::min(closure + size, end));
  return true;
}

void leak_marking::word(std::uintptr_t value, finder by, std::uintptr_t at) noexcept {
  value &= address_bits;
  if (value - lowest_ >= highest_ - lowest_) return;
  if (in_arena(value, by, at) || in_slab(value, at)) return;
  platform::heap_map::chunk found = heap_.find(value);
  if (!found.in_use || !heap_.mark(found)) return;
  note(found.begin, at);
  later(found.begin, found.end);
}

void leak_marking::words(std::uintptr_t begin, std::uintptr_t end, finder by) noexcept {
  begin = (begin + sizeof(void*) - 1) / sizeof(void*) * sizeof(void*);
  for (; begin + sizeof(void*) <= end; begin += sizeof(void*)) {
    word(*reinterpret_cast<const std::uintptr_t*>(begin), by, begin);
  }
}

bool leak_marking::stand_on(std::uintptr_t sp, std::uintptr_t from) noexcept {
  const arena* a = nullptr;
  slot* s = find_slot(sp, &a);
  if (s == nullptr) return a != nullptr;
  s->from = from;
  if (!s->live) make_live(*s, *place_g(place(*a, sp)), 0);
  return true;
}

void leak_marking::live(const g& one) noexcept {
  slot* s = find_slot(number(&one));
  if (s != nullptr && !s->live) make_live(*s, one, 0);
}

std::uintptr_t leak_marking::lowest_used(const slot& s, const g& one) noexcept {
  std::uintptr_t lowest = number(one.slot.lowest()), saved = number(one.context.sp);
  if (s.from != 0) return std::max(s.from, lowest);
  // One that runs, and no thread is seen on its stack: on another, of the program's own. All of this one, then.
  bool suspended = one.state.load(std::memory_order_relaxed) != g_state::running;
  return suspended && saved >= lowest && saved < number(&one) ? saved : lowest;
}

void leak_marking::make_live(slot& s, const g& one, std::uintptr_t at) noexcept {
  if (s.live) return;
  s.live = true;
  note(number(one.slot.begin), at);
  later(lowest_used(s, one), number(&one));
  leak_cause why = std::exchange(why_, leak_cause::memory);
  auto field = [&](auto* const& p) {
    word(number(p), finder::memory, number(static_cast<const void*>(&p)));
  };
  field(one.context.exceptions.caught);
  field(one.panics.newest);
  field(one.locals);
  if (one.work != nullptr) closure_of(*one.work, number(static_cast<const void*>(&one.work)));
  why_ = why;
}

void leak_marking::closure_of(const task& record, std::uintptr_t at) noexcept {
  std::uintptr_t closure = number(&record) + record.closure_at;
  if (in_slab(closure, at)) return;
  platform::heap_map::chunk found = heap_.find(number(&record));
  if (!found.in_use || !heap_.mark(found)) return;
  note(found.begin, at);
  later(closure, std::min(closure + record.closure_size, found.end));
}

void leak_marking::queued(const task& record) noexcept { closure_of(record, 0); }

void leak_marking::never_search(const void* object) noexcept {
  platform::heap_map::chunk found = heap_.find(number(object));
  if (found.begin != 0) heap_.mark(found);
}

void leak_marking::free_record(const void* block) noexcept {
  const slab* s = range_of(slabs_, number(block));
  if (s != nullptr) records_[s->first_record + (number(block) - s->begin) / s->block] = true;
}

void leak_marking::later(std::uintptr_t begin, std::uintptr_t end) noexcept {
  if (begin < end && !work_.push({begin, end})) exhausted_ = true;
}

bool leak_marking::finish() noexcept {
  because(leak_cause::memory);
  while (!work_.empty() && !exhausted_) {
    piece next = work_.back();
    work_.pop();
    words(next.begin, next.end, finder::memory);
  }
  return !exhausted_;
}

// What the address lies in, if that can be reached.
void leak_marking::name_node(std::uintptr_t address, leak_step& into) noexcept {
  const arena* a = nullptr;
  if (const slot* on = find_slot(address, &a)) {
    memory::stack_slot s = place(*a, address);
    into.begin = number(s.begin);
    into.size = s.size, into.kind = leak_node::stack;
    into.owner = place_g(s);
    into.base = lowest_used(*on, *into.owner);
  } else if (const slab* s = range_of(slabs_, address)) {
    into.begin = address - (address - s->begin) % s->block;
    into.base = into.begin, into.size = s->block, into.kind = leak_node::record;
  } else if (platform::heap_map::chunk c = heap_.find(address); c.begin != 0) {
    into.begin = into.base = c.begin, into.size = c.end - c.begin, into.kind = leak_node::chunk;
  }
}

bool leak_marking::trail_to(const g& one, platform::page_array<leak_step>& out) noexcept {
  auto earlier = [](const leak_step& x, const leak_step& y) { return x.begin < y.begin; };
  if (!trail_sorted_) std::sort(trail_.begin(), trail_.end(), earlier);
  trail_sorted_ = true;
  leak_step step{};
  for (name_node(number(&one), step); step.kind != leak_node::none;) {
    const leak_step* found = std::lower_bound(trail_.begin(), trail_.end(), step, earlier);
    if (found == trail_.end() || found->begin != step.begin) break;
    step.why = found->why, step.tid = found->tid, step.at = found->at;
    if (!out.push(step)) return false;
    if (step.why != leak_cause::memory) break;
    step.kind = leak_node::none;
    name_node(found->at, step);
  }
  return true;
}

}  // namespace runnel::sched
