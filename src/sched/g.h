#pragma once
// G: a goroutine. And task: one that has been spawned and has not begun.
//
// A spawned goroutine is a small record, the task, until an M first runs it: only then does it get a stack,
// with its G at the top of the stack's highest page and its first frames right below. A goroutine that ends
// without ever parking therefore shares one warm stack with those before and after it, and a million spawned
// at once cost a million records, not a million stacks.
//
// States of a G
//   idle      in a cache, without work; its context waits in goroutine_main (or at the entry, if new)
//   runnable  in exactly one run queue, or handed to one M
//   running   current on exactly one M
//   waiting   parked; whoever will make it runnable holds the only reference that does so
//   frozen    of a run that is over: it never runs again, and wake-ups for it are dropped
//
// Invariants
//   state != running   =>  its registers are saved in `context`, once the post-switch action has run
//   state == runnable or waiting, and no switch is under way  =>  its stack may be walked from `context`
//   epoch != the runtime's  =>  frozen
// Who touches what: the M that runs it, everything. A waker: `next`, `state`, after it has taken the G out of
// the wait list. Dumps read id, name, state and reason without a lock: these are atomic or set while idle.

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "memory/stack_space.h"
#include "platform/exceptions.h"
#include "platform/fpu.h"
#include "platform/sanitizer.h"
#include "runnel/detail/panic_state.h"
#include "sched/held_mutex.h"

namespace runnel::sched {

struct m;
struct g;

// What run queues hold.
struct runnable {
  runnable* next = nullptr;
  bool fresh = false;  // a task; otherwise a g
};

// Followed in memory by the closure, `closure_at` bytes from its start.
struct task : runnable {
  std::uint8_t size_class = 0;  // record_classes: from operator new, aligned to closure_at
  bool is_main = false;
  std::uint32_t closure_at = 64;   // the closure's alignment, but at least 64
  std::uint32_t stack_size = 0;    // 0: the runtime's default
  std::uint32_t closure_size = 0;  // what lies behind it is old
  void (*invoke)(void* closure) = nullptr;
  std::uint64_t id = 0;
  std::uint64_t creator = 0;
  void* creator_pc = nullptr;
  char* name = nullptr;  // owned, from malloc
};
static_assert(sizeof(task) <= 64);

// A suspended thread of execution: a goroutine's, or an M's own.
struct execution {
  void* sp = nullptr;
  platform::exception_state exceptions;
  platform::fpu_control fpu;
  [[no_unique_address]] platform::sanitizer_stack sanitizer;
};

enum class g_state : std::uint8_t { idle, runnable, running, waiting, frozen };

// Why a G waits, in Go's words.
enum class wait_reason : std::uint8_t {
  none,
  sleep,
  mutex_lock,
  shared_mutex_lock,
  shared_mutex_lock_shared,
  wait_group_wait,
  cond_wait,
  semaphore_acquire,
  once_call,
  chan_send,
  chan_receive,
  chan_send_nil,
  chan_receive_nil,
  select,
  select_no_cases,
  blocking,
  io_wait,
};

struct alignas(64) g : runnable {
  std::atomic<g_state> state{g_state::idle};
  std::atomic<wait_reason> reason{wait_reason::none};
  std::uint32_t epoch = 0;
  m* locked_m = nullptr;  // lock_os_thread: runs on this M only
  execution context;
  mutable std::uint32_t waiting_since = 0;  // seconds, by the runtime's coarse clock
  // A survey reads it at any time.
  void waits_since(std::uint32_t when) noexcept {
    std::atomic_ref(waiting_since).store(when, std::memory_order_relaxed);
  }
  std::uint32_t waited_since() const noexcept {
    return std::atomic_ref(waiting_since).load(std::memory_order_relaxed);
  }
  // A switch touches what is above: one cache line.
  task* work = nullptr;
  std::uint32_t lock_count = 0;
  std::atomic<std::uint64_t> id{0};
  detail::panic_state panics;
  void* locals = nullptr;  // goroutine_local's values
  memory::stack_slot slot;
  [[no_unique_address]] g_held_mutexes held;
};

}  // namespace runnel::sched
