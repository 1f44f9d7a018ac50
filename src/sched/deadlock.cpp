#include "sched/deadlock.h"

#include "base/check.h"
#include "platform/thread.h"
#include "sched/idle.h"
#include "sched/lifecycle.h"
#include "sched/switch.h"

namespace runnel::sched {
namespace {

enum class outlook {
  somebody_will_run,  // or nobody is there
  moving,             // just now; what comes of it may be nothing
  nothing_can_run,
};

outlook look() noexcept {
  runtime& r = rt();
  platform::lock_guard hold(r.lock);
  if (!r.active.load(std::memory_order_relaxed)) return outlook::somebody_will_run;
  if (r.stopping.load(std::memory_order_relaxed) ||
      r.gate.idle() != r.procs.load(std::memory_order_relaxed) || r.gate.spinning() != 0 ||
      any_queue_has_work()) {
    return outlook::moving;
  }
  int at_large = r.at_large.load(std::memory_order_relaxed);
  base::debug_check(at_large >= 0, "more goroutines came back than went");
  bool somebody = at_large != 0 || r.io_waits.load(std::memory_order_relaxed) != 0 ||
                  earliest_timer() != platform::time_never || count_goroutines() == 0;
  return somebody ? outlook::somebody_will_run : outlook::nothing_can_run;
}

bool is_ours(int tid) noexcept {
  runtime& r = rt();
  if (tid == r.sysmon_tid.load(std::memory_order_relaxed) ||
      tid == r.reporter_tid.load(std::memory_order_relaxed) ||
      tid == r.signal_tid.load(std::memory_order_relaxed) ||
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
  deadlock_check how = r.deadlock.load(std::memory_order_relaxed);
  if (how == deadlock_check::off) return false;
  if (outlook now = look(); now != outlook::nothing_can_run) return now == outlook::moving;
  if (r.threads_waiting.load(std::memory_order_relaxed) != 0 ||
      r.signals_awaited.load(std::memory_order_relaxed)) {
    return true;
  }
  if (how == deadlock_check::automatic && !platform::all_threads_are(&is_ours)) return true;
  // Again: a thread may have woken somebody, and ended, before we looked for it.
  if (look() != outlook::nothing_can_run) return true;
  base::fatal("all goroutines are asleep - deadlock!");
}

}  // namespace runnel::sched
