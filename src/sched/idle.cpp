#include "sched/idle.h"

#include "base/check.h"
#include "sched/mail.h"
#include "sched/network.h"
#include "sched/switch.h"
#include "sched/sysmon.h"
#include "sched/thread.h"

namespace runnel::sched {
namespace {

// An idle M, taken out of its list. The sleeper comes last, and only if no P is left whose timers it would
// have to watch.
m* take_idle_m_locked() noexcept {
  runtime& r = rt();
  if (m* found = r.idle_ms) {
    r.idle_ms = found->next_idle;
    found->next_idle = nullptr;
    return found;
  }
  if (r.sleeper != nullptr && !r.sleeper_called && r.gate.idle() == 0) {
    // It keeps its place until it is out of the poller: another one in there could take the ring meant for it.
    r.sleeper_called = true;
    r.sleeper_until.store(platform::time_never, std::memory_order_relaxed);
    return r.sleeper;
  }
  return nullptr;
}

// After the sleeper has left with a P: if others are idle by now, somebody has to take its place.
void replace_sleeper() noexcept {
  if (rt().gate.idle() == 0) return;
  if (std::int64_t due = earliest_timer(); due != platform::time_never) {
    watch_timer(due);
  } else {
    watch_network();
  }
}

void forget_idle_m_locked(m& self) noexcept {
  runtime& r = rt();
  if (r.sleeper == &self) {
    r.sleeper = nullptr;
    r.sleeper_until.store(platform::time_never, std::memory_order_relaxed);
    return;
  }
  for (m** link = &r.idle_ms; *link != nullptr; link = &(*link)->next_idle) {
    if (*link == &self) {
      *link = self.next_idle;
      self.next_idle = nullptr;
      return;
    }
  }
}

}  // namespace

bool any_queue_has_work() noexcept {
  runtime& r = rt();
  if (r.global_size.load(std::memory_order_relaxed) != 0) return true;
  int n = r.p_made.load(std::memory_order_acquire);
  for (int i = 0; i < n; ++i) {
    p& pp = *r.all_p[i].load(std::memory_order_relaxed);
    if (!pp.queue.empty() || pp.mail_size.load(std::memory_order_relaxed) != 0) return true;
  }
  return false;
}

void own(m& self, p& pp) noexcept {
  self.shake.clear(handshake<base::hardware>::taken | handshake<base::hardware>::preempt);
  self.processor = &pp;
  pp.owner.store(&self, std::memory_order_release);
  pp.status.store(p_status::running, std::memory_order_release);
}

void disown(m& self) noexcept {
  self.processor->owner.store(nullptr, std::memory_order_relaxed);
  self.processor = nullptr;
}

p* take_idle_p_locked() noexcept {
  runtime& r = rt();
  p* pp = r.idle_ps;
  if (pp == nullptr || r.stopping.load(std::memory_order_relaxed)) return nullptr;
  r.idle_ps = pp->next_idle;
  pp->next_idle = nullptr;
  r.gate.take_idle_locked();
  return pp;
}

void add_idle_p_locked(p& pp) noexcept {
  runtime& r = rt();
  pp.status.store(p_status::idle, std::memory_order_release);
  pp.next_idle = r.idle_ps;
  r.idle_ps = &pp;
  r.gate.add_idle_locked();
}

bool begin_spinning(m& self) noexcept {
  if (self.spinning) return true;
  runtime& r = rt();
  int procs = r.procs.load(std::memory_order_relaxed);
  int busy = procs - r.gate.idle();
  if (procs == 1 || 2 * r.gate.spinning() >= busy) return false;
  self.spinning = true;
  rt().gate.begin_spinning();
  return true;
}

void end_spinning_with_work(m& self) noexcept {
  self.spinning = false;
  // The last to stop looking passes the torch: there may be more than we took.
  if (rt().gate.end_spinning() && rt().gate.idle() != 0) {
    wake_spinner();
  }
}

void wake_spinner() noexcept {
  runtime& r = rt();
  if (!rt().gate.claim_wake()) return;
  p* pp;
  {
    platform::lock_guard hold(r.lock);
    pp = take_idle_p_locked();
    if (pp == nullptr) r.gate.give_up_wake_locked();
  }
  if (pp != nullptr) start_m(*pp, true);
}

runnable* go_idle(m& self) noexcept {
  runtime& r = rt();
  {
    platform::lock_guard hold(r.lock);
    if (r.stopping.load(std::memory_order_relaxed)) return nullptr;  // the caller sees to it
    if (runnable* got = take_mail_locked(*self.processor)) return got;
    if (runnable* got = take_global_locked(*self.processor, take_share)) return got;
    p& pp = *self.processor;
    disown(self);
    add_idle_p_locked(pp);
  }
  bool look_again = self.spinning || r.gate.spinning() == 0;
  if (self.spinning) {
    self.spinning = false;
    r.gate.end_spinning();
  }
  if (look_again && any_queue_has_work()) {
    platform::lock_guard hold(r.lock);
    if (p* pp = take_idle_p_locked()) {
      own(self, *pp);
      self.spinning = true;
      r.gate.begin_spinning();
    }
  }
  if (self.processor != nullptr) {
    wake_sysmon();
  } else {
    wait_for_work(self);
  }
  return nullptr;
}

void wait_for_work(m& self) noexcept {
  runtime& r = rt();
  bool may_watch = true;
  for (;;) {
    bool watch = false;
    std::int64_t until = platform::time_never;
    {
      platform::lock_guard hold(r.lock);
      if (may_watch && r.sleeper == nullptr && !r.stopping.load(std::memory_order_relaxed)) {
        // In two steps, with a fence: a timer added in between is seen here, or sees our time there.
        r.sleeper_until.store(platform::time_never - 1, std::memory_order_relaxed);
        base::hardware::fence();
        until = earliest_timer();
        r.sleeper_until.store(until, std::memory_order_relaxed);
        watch = until != platform::time_never || r.awaits_io();
      } else if (r.sleeper != nullptr && !r.sleeper_called &&
                 earliest_timer() < r.sleeper_until.load(std::memory_order_relaxed)) {
        // Timers that were its owner's to look at, as long as our P was busy, are the sleeper's now.
        wake(*r.sleeper);
      }
      if (watch) {
        r.sleeper = &self;
      } else {
        self.next_idle = r.idle_ms;
        r.idle_ms = &self;
      }
    }
    // A wake-up without a P (watch_timer) only means: look at the timers again.
    poll::ready_list ready;
    bool woken =
        watch && r.net.is_open() ? sleep_in_poller(self, until, ready) : self.parked.park(until);
    p* given;
    bool was_called = false;
    {
      platform::lock_guard hold(r.lock);
      given = self.next_p;
      if (given != nullptr) {
        // Whoever gave it has taken us out of the list.
        self.next_p = nullptr;
        was_called = r.sleeper == &self;
        if (was_called) {
          r.sleeper = nullptr;
          r.sleeper_called = false;
        }
        own(self, *given);
      } else {
        forget_idle_m_locked(self);
        if (!woken) {
          given = take_idle_p_locked();
          if (given != nullptr) own(self, *given);
        }
      }
    }
    // Not under the lock: it may have to wake others, or fill the global queue.
    put_ready(given != nullptr ? &self : nullptr, ready);
    if (was_called) replace_sleeper();
    if (given != nullptr) break;
    // Due, but every P is busy: their owners look at the timers.
    may_watch = woken;
  }
  wake_sysmon();
}

void start_m(p& pp, bool spinning) noexcept {
  runtime& r = rt();
  m* idle;
  {
    platform::lock_guard hold(r.lock);
    idle = take_idle_m_locked();
    if (idle != nullptr) {
      idle->next_p = &pp;
      idle->spinning = spinning;
    }
  }
  if (idle != nullptr) {
    wake(*idle);
    return;
  }
  if (start_thread(&pp, spinning)) return;
  // No thread to be had: the P waits in the idle list until sysmon tries again.
  if (spinning) rt().gate.end_spinning();
  platform::lock_guard hold(r.lock);
  add_idle_p_locked(pp);
}

void hand_off(p& pp) noexcept {
  runtime& r = rt();
  bool has_work = !pp.queue.empty();
  if (!has_work) {
    platform::lock_guard hold(r.lock);
    if (r.stopping.load(std::memory_order_relaxed)) {
      pp.status.store(p_status::stopped, std::memory_order_release);
      return;
    }
    has_work = !r.global.empty() || !pp.mail.empty();
    if (!has_work) add_idle_p_locked(pp);
  }
  if (has_work) {
    pp.handed_on = true;
    start_m(pp, false);
  } else if (std::int64_t due = pp.timers.next(); due != platform::time_never) {
    watch_timer(due);
  } else {
    watch_network();
  }
}

void wake(m& idle) noexcept {
  idle.parked.unpark();
  // Pairs with the fence in sleep_in_poller: it sees the permit, or we see it in there.
  base::hardware::fence();
  if (idle.in_poller.load(std::memory_order_acquire)) rt().net.interrupt();
}

void watch_timer(std::int64_t when) noexcept {
  runtime& r = rt();
  base::hardware::fence();
  if (r.gate.idle() == 0 || when >= r.sleeper_until.load(std::memory_order_relaxed)) {
    return;
  }
  m* to_wake;
  {
    platform::lock_guard hold(r.lock);
    if (when >= r.sleeper_until.load(std::memory_order_relaxed)) return;
    if (r.sleeper_called) return;  // on its way out it looks itself
    to_wake = r.sleeper != nullptr ? r.sleeper : r.idle_ms;
  }
  if (to_wake != nullptr) {
    wake(*to_wake);  // without a P: it looks at the timers again
  } else {
    start_thread(nullptr, false);
  }
}

}  // namespace runnel::sched
