#include "wait/waiter.h"

#include "base/check.h"
#include "sched/idle.h"

namespace runnel::wait {
namespace {

// Post-switch actions: the goroutine is off its stack and its waiter may be seen by wakers.
void release_guard(sched::m&, sched::g*, void* argument) {
  auto* r = static_cast<release*>(argument);
  r->call(r->object);
}

void add_timer(sched::m& self, poll::timer_node& node) noexcept {
  // Read now: the node belongs to somebody else as soon as it is in the heap.
  std::int64_t when = node.when;
  if (self.processor->timers.add(node)) sched::watch_timer(when);
}

struct timed_block {
  poll::timer_node node;
  waiter* w;
  release unguard;
};

void add_timer_and_release(sched::m& self, sched::g*, void* argument) {
  auto* b = static_cast<timed_block*>(argument);
  // The guard first is wrong: a waker could end the wait while we still add the timer. With the guard held
  // none comes, and the timer itself can fire only through a P.
  release unguard = b->unguard;
  add_timer(self, b->node);
  unguard.call(unguard.object);
}

void* claim_time_out(poll::timer_node& node) noexcept {
  waiter* w = reinterpret_cast<timed_block&>(node).w;
  outcome pending = outcome::pending;
  return w->how.compare_exchange_strong(pending, outcome::timed_out, std::memory_order_acq_rel)
             ? w->gp
             : nullptr;
}

void add_sleeper(sched::m& self, sched::g*, void* argument) {
  add_timer(self, *static_cast<poll::timer_node*>(argument));
}

// A plain thread that waits: as long as there is one, there is no deadlock.
class waiting_thread {
 public:
  waiting_thread() noexcept { count_.fetch_add(1, std::memory_order_relaxed); }
  ~waiting_thread() { count_.fetch_sub(1, std::memory_order_relaxed); }
  waiting_thread(const waiting_thread&) = delete;
  waiting_thread& operator=(const waiting_thread&) = delete;

 private:
  std::atomic<int>& count_ = sched::rt().threads_waiting;
};

struct sleeper {
  poll::timer_node node;
  sched::g* gp;
};

}  // namespace

sched::m* block(sched::m* self, waiter& w, sched::wait_reason why, release unguard) noexcept {
  if (self == nullptr) {
    sched::check_not_forked();
    waiting_thread counted;
    unguard.call(unguard.object);
    w.parked.park();
    return nullptr;
  }
  return sched::park(self, why, {&release_guard, w.gp, &unguard});
}

sched::m* block_until(sched::m* self, waiter& w, sched::wait_reason why, release unguard,
                      std::int64_t deadline) noexcept {
  if (self == nullptr) {
    sched::check_not_forked();
    waiting_thread counted;
    unguard.call(unguard.object);
    if (!w.parked.park(deadline)) {
      outcome pending = outcome::pending;
      // Signalled in the last moment: the permit is on its way, and the waker still uses our memory.
      if (!w.how.compare_exchange_strong(pending, outcome::timed_out, std::memory_order_acq_rel)) {
        w.parked.park();
      }
    }
    return nullptr;
  }
  timed_block b{.node = {}, .w = &w, .unguard = unguard};
  b.node.when = deadline;
  b.node.claim = &claim_time_out;
  b.node.cancellable = true;
  self = sched::park(self, why, {&add_timer_and_release, w.gp, &b});
  if (w.how.load(std::memory_order_acquire) == outcome::signalled) poll::timer_heap::remove(b.node);
  return self;
}

void wake(sched::m* self, waiter& w) noexcept {
  if (w.gp != nullptr) {
    sched::ready(self, *w.gp);
  } else {
    w.parked.unpark();
  }
}

bool claim(waiter& w) noexcept {
  outcome pending = outcome::pending;
  return w.how.compare_exchange_strong(pending, outcome::signalled, std::memory_order_acq_rel);
}

void sleep_until(std::int64_t deadline) noexcept {
  sched::m* self = sched::enter();
  if (self == nullptr) {
    waiting_thread counted;
    platform::parker bed;
    while (platform::nanotime() < deadline) bed.park(deadline);
    return;
  }
  sleeper s{.node = {}, .gp = self->current};
  s.node.when = deadline;
  s.node.claim = [](poll::timer_node& node) noexcept -> void* {
    return reinterpret_cast<sleeper&>(node).gp;
  };
  self = sched::park(self, sched::wait_reason::sleep, {&add_sleeper, s.gp, &s});
  sched::leave(self);
}

}  // namespace runnel::wait
