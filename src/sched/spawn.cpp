// go(): from a closure to a runnable task.

#include "sched/spawn.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "runnel/detail/spawn.h"
#include "sched/lifecycle.h"
#include "sched/switch.h"

namespace runnel::sched {
namespace {

constexpr std::uint64_t id_batch = 64;

std::size_t class_for(std::size_t size, std::size_t alignment) noexcept {
  if (alignment > memory::record_alignment) return memory::record_classes;
  for (std::size_t c = 0; c < memory::record_classes; ++c) {
    if (size <= memory::record_sizes[c]) return c;
  }
  return memory::record_classes;
}

std::uint64_t new_id(p* pp) noexcept {
  runtime& r = rt();
  if (pp == nullptr) return r.next_id.fetch_add(1, std::memory_order_relaxed);
  if (pp->next_id == pp->last_id) {
    pp->next_id = r.next_id.fetch_add(id_batch, std::memory_order_relaxed);
    pp->last_id = pp->next_id + id_batch;
  }
  return pp->next_id++;
}

}  // namespace

void release_record(p* pp, task* record) noexcept {
  if (record->name != nullptr) std::free(record->name);
  std::size_t size_class = record->size_class;
  if (size_class < memory::record_classes) {
    if (pp != nullptr) {
      pp->records.release(size_class, record, rt().records);
    } else {
      auto* block = reinterpret_cast<memory::record_block*>(record);
      block->next = nullptr;
      rt().records.give(size_class, {block, 1});
    }
  } else {
    ::operator delete(record, std::align_val_t{record->closure_at});
  }
}

}  // namespace runnel::sched

namespace runnel::detail {

using namespace runnel::sched;

spawn_slot spawn_prepare(std::size_t size, std::size_t alignment) {
  std::size_t at = alignment > memory::record_alignment ? alignment : memory::record_alignment;
  std::size_t size_class = class_for(at + size, alignment);
  void* memory = nullptr;
  if (size_class < memory::record_classes) {
    if (m* self = enter()) {
      memory = self->processor->records.allocate(size_class, rt().records);
      leave(self);
      if (memory == nullptr) throw std::bad_alloc();
    } else {
      size_class = memory::record_classes;
    }
  }
  if (memory == nullptr) memory = ::operator new(at + size, std::align_val_t{at});
  auto* record = ::new (memory) task;
  record->fresh = true;
  record->size_class = static_cast<std::uint8_t>(size_class);
  record->closure_at = static_cast<std::uint32_t>(at);
  record->closure_size = static_cast<std::uint32_t>(size);
  // Before the closure is there: whoever stops us for a look must find it.
  std::atomic_signal_fence(std::memory_order_release);
  return {record, static_cast<char*>(memory) + at};
}

void spawn_commit(const spawn_slot& slot, void (*invoke)(void*), const go_options* options,
                  void* creator_pc) noexcept {
  auto* record = static_cast<task*>(slot.record);
  record->invoke = invoke;
  record->creator_pc = creator_pc;
  if (options != nullptr) {
    record->stack_size =
        static_cast<std::uint32_t>(std::min<std::size_t>(options->stack_size, 1u << 31));
    // A name that finds no memory is no reason not to run.
    if (!options->name.empty()) record->name = strndup(options->name.data(), options->name.size());
  }
  if (m* self = enter()) {
    p& pp = *self->processor;
    record->id = new_id(&pp);
    // The scheduling loop is nobody: a timer's goroutine.
    if (self->current != nullptr) {
      record->creator = self->current->id.load(std::memory_order_relaxed);
    }
    p::bump(pp.started);
    put_local(*self, record, true);
    notify_work_with_p();
    leave(self);
  } else {
    record->id = new_id(nullptr);
    put_global_new(record);
  }
}

void spawn_cancel(const spawn_slot& slot) noexcept {
  m* self = enter();
  release_record(self != nullptr ? self->processor : nullptr, static_cast<task*>(slot.record));
  if (self != nullptr) leave(self);
}

}  // namespace runnel::detail
