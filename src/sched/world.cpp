#include "sched/world.h"

#include <algorithm>
#include <new>

#include "base/check.h"
#include "platform/cpu.h"
#include "sched/blocking.h"
#include "sched/idle.h"
#include "sched/lifecycle.h"
#include "sched/mail.h"
#include "sched/network.h"
#include "sched/switch.h"

namespace runnel::sched {
namespace {

p& made_p(int number) noexcept {
  runtime& r = rt();
  p* found = r.all_p[number].load(std::memory_order_relaxed);
  if (found == nullptr) {
    found = new (std::nothrow) p(number);
    if (found == nullptr) base::fatal("out of memory for a P");
    r.all_p[number].store(found, std::memory_order_release);
    r.p_made.store(number + 1, std::memory_order_release);
  }
  return *found;
}

void stop_idle_ps() noexcept {
  runtime& r = rt();
  platform::lock_guard hold(r.lock);
  while (p* idle = r.idle_ps) {
    r.idle_ps = idle->next_idle;
    idle->next_idle = nullptr;
    idle->status.store(p_status::stopped, std::memory_order_release);
    r.gate.take_idle_locked();
  }
}

// Claims the P of every M outside the runtime; one fence for all. True: all are stopped.
enum class idle_ps { stopped, left };
bool claim_all(idle_ps which) noexcept {
  runtime& r = rt();
  if (which == idle_ps::stopped) stop_idle_ps();
  int n = r.p_made.load(std::memory_order_acquire);
  m* owners[max_procs_limit];
  bool all = true;
  for (int i = 0; i < n; ++i) {
    p& pp = *r.all_p[i].load(std::memory_order_relaxed);
    owners[i] = nullptr;
    p_status status = pp.status.load(std::memory_order_acquire);
    if (status == p_status::stopped) continue;
    if (status == p_status::idle && which == idle_ps::left) continue;  // nobody may take it now
    owners[i] = pp.owner.load(std::memory_order_acquire);
    if (owners[i] == nullptr) {
      all = false;  // on its way from hand to hand
    } else {
      owners[i]->shake.claim();
    }
  }
  base::hardware::heavy_fence();
  for (int i = 0; i < n; ++i) {
    if (owners[i] == nullptr) continue;
    p& pp = *r.all_p[i].load(std::memory_order_relaxed);
    bool taken = owners[i]->shake.decide(0, [&] {
      if (owners[i]->processor != &pp) return false;
      r.at_large.fetch_add(1, std::memory_order_relaxed);
      return true;
    });
    if (taken) {
      pp.owner.store(nullptr, std::memory_order_relaxed);
      pp.status.store(p_status::stopped, std::memory_order_release);
    } else {
      all = false;
    }
  }
  return all;
}

// What a P that is no longer wanted holds goes to everybody.
void empty_p(p& pp, p& heir) noexcept {
  runtime& r = rt();
  while (runnable* next = pp.queue.pop_next()) r.global.push_back(next);
  while (runnable* item = pp.queue.pop()) r.global.push_back(item);
  r.global_size.store(r.global.size(), std::memory_order_relaxed);
  if (&pp != &heir) pp.timers.move_all(heir.timers);
  r.gs.give(pp.free_gs);
  pp.records.flush(r.records);
}

}  // namespace

void stop_the_world() noexcept {
  runtime& r = rt();
  r.world.acquire();
  {
    platform::lock_guard hold(r.lock);
    r.stopping.store(true, std::memory_order_seq_cst);
  }
  for (int tries = 0; !claim_all(idle_ps::stopped); ++tries) {
    // Ms in the runtime need the CPU to get out of it; mostly it is a matter of nanoseconds.
    if (tries < 16) {
      for (int i = 0; i < 64; ++i) base::hardware::pause();
    } else {
      std::atomic<std::uint32_t> bed{0};
      platform::futex_wait(bed, 0, platform::nanotime() + 20'000);
    }
  }
}

void give_up_for_stop(m& self) noexcept {
  if (self.spinning) {
    self.spinning = false;
    rt().gate.end_spinning();
  }
  p& pp = *self.processor;
  disown(self);
  pp.status.store(p_status::stopped, std::memory_order_release);
}

p& first_p() noexcept {
  runtime& r = rt();
  if (p* found = r.all_p[0].load(std::memory_order_acquire)) return *found;
  platform::lock_guard hold(r.lock);
  return made_p(0);
}

void start_the_world(int procs) noexcept {
  runtime& r = rt();
  p* to_start[max_procs_limit];
  int starting = 0;
  {
    platform::lock_guard hold(r.lock);
    for (int i = 0; i < procs; ++i) made_p(i);
    int made = r.p_made.load(std::memory_order_relaxed);
    for (int i = procs; i < made; ++i)
      empty_p(*r.all_p[i].load(std::memory_order_relaxed), made_p(0));
    return_mail_locked();
    r.procs.store(procs, std::memory_order_seq_cst);
    r.stopping.store(false, std::memory_order_seq_cst);
    for (int i = procs - 1; i >= 0; --i) {
      p& pp = *r.all_p[i].load(std::memory_order_relaxed);
      if (pp.queue.empty()) {
        add_idle_p_locked(pp);
      } else {
        // Not stopped any more, and without an owner: another stopper waits until it has one.
        pp.status.store(p_status::running, std::memory_order_release);
        to_start[starting++] = &pp;
      }
    }
  }
  r.world.release();
  for (int i = 0; i < starting; ++i) start_m(*to_start[i], false);
  // Work in the global queue, timers of idle Ps.
  if (r.global_size.load(std::memory_order_relaxed) != 0) notify_work();
  std::int64_t due = earliest_timer();
  if (due != platform::time_never) {
    watch_timer(due);
  } else {
    watch_network();
  }
}

void resume_the_world() noexcept {
  runtime& r = rt();
  if (r.active.load(std::memory_order_acquire)) {
    start_the_world(r.procs.load(std::memory_order_relaxed));
  } else {
    r.world.release();
  }
}

void stop_for_report(const m* troubled) noexcept {
  runtime& r = rt();
  std::int64_t deadline = platform::nanotime() + 100'000'000;
  std::atomic<std::uint32_t> bed{0};
  auto nap = [&] {
    platform::futex_wait(bed, 0, platform::nanotime() + 50'000);
    return platform::nanotime() < deadline;
  };
  while (!r.world.try_acquire() && nap()) {
  }
  r.stopping.store(true, std::memory_order_seq_cst);
  if (troubled != nullptr && troubled->processor != nullptr &&
      troubled->shake.where() == zone::runtime) {
    troubled->processor->status.store(p_status::stopped, std::memory_order_release);
  }
  while (!claim_all(idle_ps::left) && nap()) {
  }
}

int set_procs(int n) noexcept {
  runtime& r = rt();
  n = std::clamp(n, 1, max_procs_limit);
  int before = current_procs();
  begin_blocking();
  stop_the_world();
  if (r.active.load(std::memory_order_acquire)) {
    r.follow_quota.store(false, std::memory_order_relaxed);
    before = r.procs.load(std::memory_order_relaxed);
    start_the_world(n);
  } else {
    r.procs_wished.store(n, std::memory_order_relaxed);
    r.world.release();
  }
  end_blocking();
  return before;
}

void adjust_procs_to_quota() noexcept {
  runtime& r = rt();
  int n;
  try {
    n = std::min(platform::usable_cpus(), max_procs_limit);
  } catch (const std::bad_alloc&) {
    return;  // next second
  }
  if (n == r.procs.load(std::memory_order_relaxed)) return;
  stop_the_world();
  // The run may have ended, or the program chosen a number, while we waited for the world.
  if (!r.active.load(std::memory_order_acquire)) {
    r.world.release();
  } else {
    bool follow = r.follow_quota.load(std::memory_order_relaxed);
    start_the_world(follow ? n : r.procs.load(std::memory_order_relaxed));
  }
}

}  // namespace runnel::sched
