#pragma once
// What can be reached: the marking of a conservative collector, over the chunks of the heap, the stacks of goroutines and the
// closures they were started with. Every aligned word that could be an address is one.
//
// A waiting goroutine can be woken only by somebody who finds its waiter, a node on its stack, in the list of the object
// it waits for. So a stack is a node of the graph like any chunk: an address in it makes its goroutine live, and
// what that goroutine holds reachable.
//
// Invariants
//   a chunk's bit, a slot's or a record's byte is set  =>  its contents were searched, or are in work_
//   an address in the G itself, above the first frame, says nothing: the runtime's frames are full of those of goroutines
//     that ran next; save on a plain thread, which may be about to wake one
//   nor does the address of a record's header: the same frames have it. Users have the closure's, behind the header
//   Ms and Ps are never searched: what they hold that counts is searched by itself, what else they hold is stale
// Used while everybody else stands still; it does not allocate.

#include <cstdint>
#include <span>

#include "platform/heap_map.h"
#include "platform/memory_map.h"
#include "platform/page_array.h"
#include "sched/g.h"
#include "sched/leak_trail.h"

namespace runnel::sched {

// Where a word was found.
enum class finder : std::uint8_t {
  memory,  // of the heap, of goroutines
  thread   // globals, and stacks of plain threads
};

class leak_marking {
 public:
  // False: no memory.
  bool prepare(std::span<const platform::mapping> mappings) noexcept;

  // `at`: where it lies, for the trail.
  void word(std::uintptr_t value, finder by, std::uintptr_t at = 0) noexcept;
  void words(std::uintptr_t begin, std::uintptr_t end, finder by) noexcept;
  // A thread stands on a goroutine's stack; all from `from` up counts.
  bool stand_on(std::uintptr_t sp, std::uintptr_t from) noexcept;
  void live(const g& one) noexcept;
  void queued(const task& record) noexcept;
  void never_search(const void* object) noexcept;
  void free_record(const void* block) noexcept;

  // Searches whatever has been found, and what is found there. False: memory ran out, and nothing is known.
  bool finish() noexcept;

  bool is_live(const g& one) noexcept {
    const slot* s = find_slot(reinterpret_cast<std::uintptr_t>(&one));
    return s == nullptr || s->live;
  }

  // From now on it is noted what led to everything.
  void keep_trail() noexcept { tracing_ = true; }
  // What is found next is found for this reason, by or on this thread.
  void because(leak_cause why, int tid = 0) noexcept { why_ = why, tid_ = tid; }
  // After finish: the steps that led to a goroutine, from it to a root. False: no memory.
  bool trail_to(const g& one, platform::page_array<leak_step>& out) noexcept;

  // Memory that is searched as far as it is reached, and no further.
  template <class Visit>
  void for_each_range(Visit visit) const noexcept {
    for (const arena& a : arenas_) visit(a.begin, a.end);
    for (const slab& s : slabs_) visit(s.begin, s.end);
    for (const auto& r : heap_.regions()) visit(r.head, r.end);
    visit(heap_.main_arena_begin(), heap_.main_arena_end());
  }

 private:
  struct arena {
    std::uintptr_t begin;
    std::uintptr_t end;
    std::size_t slot_size;
    std::size_t used;
    std::size_t first_colour;
    std::size_t first_slot;
  };
  struct slot {
    std::uintptr_t from;  // a thread's stack pointer; 0: the saved one
    bool live;
  };
  struct slab {
    std::uintptr_t begin;
    std::uintptr_t end;
    std::size_t block;
    std::size_t first_record;
  };
  struct piece {
    std::uintptr_t begin;
    std::uintptr_t end;
  };

  slot* find_slot(std::uintptr_t address, const arena** in = nullptr) noexcept;
  static memory::stack_slot place(const arena& a, std::uintptr_t address) noexcept;
  bool in_arena(std::uintptr_t value, finder by, std::uintptr_t at) noexcept;
  bool in_slab(std::uintptr_t value, std::uintptr_t at) noexcept;
  static std::uintptr_t lowest_used(const slot& s, const g& one) noexcept;
  void make_live(slot& s, const g& one, std::uintptr_t at) noexcept;
  void closure_of(const task& record, std::uintptr_t at) noexcept;
  void later(std::uintptr_t begin, std::uintptr_t end) noexcept;
  void note(std::uintptr_t begin, std::uintptr_t at) noexcept {
    if (tracing_ && !trail_.push({begin, 0, 0, nullptr, leak_node::none, why_, tid_, at}))
      exhausted_ = true;
  }
  void name_node(std::uintptr_t address, leak_step& into) noexcept;

  platform::heap_map heap_;
  platform::page_array<arena> arenas_;
  platform::page_array<slot> slots_;
  platform::page_array<slab> slabs_;
  platform::page_array<bool> records_;
  platform::page_array<piece> work_;
  std::uintptr_t lowest_ = ~std::uintptr_t{0};  // of all ranges
  std::uintptr_t highest_ = 0;
  bool exhausted_ = false;
  bool tracing_ = false;
  bool trail_sorted_ = false;
  leak_cause why_ = leak_cause::memory;
  int tid_ = 0;
  platform::page_array<leak_step> trail_;
};

}  // namespace runnel::sched
