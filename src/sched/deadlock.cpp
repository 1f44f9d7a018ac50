#include "sched/deadlock.h"

#include "base/check.h"
#include "platform/thread.h"
#include "sched/idle.h"
#include "sched/lifecycle.h"
#include "sched/switch.h"

namespace runnel::sched {
namespace {

bool nothing_can_run() noexcept {
  runtime& r = rt();
  platform::lock_guard hold(r.lock);
  return r.active.load(std::memory_order_relaxed) && !r.stopping.load(std::memory_order_relaxed) &&
         r.gate.idle() == r.procs.load(std::memory_order_relaxed) && r.gate.spinning() == 0 &&
         !any_queue_has_work() && r.at_large.load(std::memory_order_acquire) == 0 &&
         r.io_waits.load(std::memory_order_relaxed) == 0 &&
         earliest_timer() == platform::time_never && count_goroutines() != 0;
}

bool is_ours(int tid) noexcept {
  runtime& r = rt();
  if (tid == r.sysmon_tid.load(std::memory_order_relaxed) ||
      tid == r.reporter_tid.load(std::memory_order_relaxed) ||
      tid == r.run_tid.load(std::memory_order_relaxed)) {
    return true;
  }
  for (m* each = r.all_m.load(std::memory_order_acquire); each != nullptr; each = each->next_all) {
    if (each->tid.load(std::memory_order_relaxed) == tid) return true;
  }
  return false;
}

}  // namespace

bool may_end_in_deadlock() noexcept {
  runtime& r = rt();
  if (r.deadlock == deadlock_check::off || !nothing_can_run()) return false;
  if (r.threads_waiting.load(std::memory_order_relaxed) != 0) return true;
  if (r.deadlock == deadlock_check::automatic && !platform::all_threads_are(&is_ours)) return true;
  // Again: a thread may have woken somebody, and ended, before we looked for it.
  if (!nothing_can_run()) return false;
  base::fatal("all goroutines are asleep - deadlock!");
}

}  // namespace runnel::sched
