#pragma once
// P: the right to run goroutines, with what one runner at a time may use without locks.
//
// Invariants
//   status == running  =>  exactly one M has it (owner), and that M alone works on the fields below "owner's"
//   status == idle     =>  it is in the runtime's idle list and its ring is empty
//   status == stopped  =>  it belongs to whoever stopped the world, or lies above max_procs
// The status changes under the runtime's lock, or by the owner, or by the claimant after a verdict.

#include <atomic>
#include <cstdint>

#include "base/intrusive_queue.h"
#include "base/sync_policy.h"
#include "memory/record_pool.h"
#include "poll/timer_heap.h"
#include "sched/g.h"
#include "sched/run_queue.h"

namespace runnel::sched {

struct timer_callback;

enum class p_status : std::uint32_t { idle, running, stopped };

struct alignas(64) p {
  explicit p(int number) noexcept : number(number) {}

  const int number;
  std::atomic<p_status> status{p_status::stopped};
  std::atomic<m*> owner{nullptr};
  p* next_idle = nullptr;  // under the runtime's lock

  // Counts scheduling decisions that begin a time slice; sysmon watches it stand still.
  std::atomic<std::uint32_t> tick{0};

  // Counts runnexts taken: with it, thieves and sysmon see that a queue which looks the same is being worked off.
  std::atomic<std::uint32_t> turns{0};
  // So many more wake-ups of goroutines need not be announced to idle Ps (switch.h, notify_ready): the owner's.
  std::uint32_t quiet_wakes = 0;

  // Sysmon's notes.
  const void* seen_next = nullptr;
  std::uint32_t seen_head = 0;
  std::uint32_t seen_turns = 0;
  std::uint32_t seen_tick = 0;
  std::int64_t seen_at = 0;
  std::int64_t asked_kernel_at = 0;
  std::int64_t taken_from_sleeper_at = 0;
  bool asked_to_yield = false;

  run_queue<runnable, base::hardware> queue;
  base::intrusive_queue<runnable> mail;  // under the runtime's lock: sched/mail.h
  std::atomic<std::uint32_t> mail_size{0};
  std::atomic<std::int64_t> gathered_until{0};  // thieves are to be patient
  poll::timer_heap timers;
  timer_callback* due =
      nullptr;  // callbacks that wait for the loop (timer_callback.h): the owner's
  timer_callback** last_due = &due;
  bool poll_due = false;   // the loop is to look into the poller
  bool handed_on = false;  // by one who blocks: a late timer is next

  // Owner's.
  base::intrusive_queue<runnable> free_gs;  // default size
  memory::record_cache records;
  std::uint64_t next_id = 0;
  std::uint64_t last_id = 0;              // ids up to here are ours to give
  std::atomic<std::int64_t> started{0};   // goroutines counted in here,
  std::atomic<std::int64_t> finished{0};  // and out here; single writer

  static void bump(std::atomic<std::int64_t>& counter) noexcept {
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
};

}  // namespace runnel::sched
