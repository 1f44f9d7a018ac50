#include "sched/sysmon.h"

#include <algorithm>

#include "base/check.h"
#include "platform/clock.h"
#include "platform/thread.h"
#include "sched/deadlock.h"
#include "sched/idle.h"
#include "sched/network.h"
#include "sched/switch.h"
#include "sched/world.h"

namespace runnel::sched {
namespace {

constexpr std::int64_t nap_ns_min = 20'000;
constexpr std::int64_t nap_ns_max = 10'000'000;
constexpr int short_naps = 50;
constexpr std::int64_t drowsy_ns = 50'000'000;
constexpr std::int64_t drowsy_nap_ns = 2'000'000;
constexpr std::int64_t housekeeping_ns = 1'000'000'000;
constexpr std::int64_t recheck_ns_max = 64'000'000'000;
constexpr std::size_t idle_stacks_kept = 256;

void note_time(std::int64_t now) noexcept {
  auto seconds = static_cast<std::uint32_t>(now / 1'000'000'000);
  std::atomic<std::uint32_t>& known = rt().seconds;
  if (known.load(std::memory_order_relaxed) != seconds)
    known.store(seconds, std::memory_order_relaxed);
}

bool work_waits_for(p& pp, std::int64_t now) noexcept {
  runtime& r = rt();
  if (!pp.queue.empty() || pp.mail_size.load(std::memory_order_relaxed) != 0 ||
      pp.timers.next() <= now)
    return true;
  return r.global_size.load(std::memory_order_relaxed) != 0 && r.gate.idle() == 0;
}

// Takes the P of an M that does not hear. True: taken, and handed on.
bool revoke(p& pp, std::uint32_t tick) noexcept {
  runtime& r = rt();
  if (!r.world.try_acquire()) return false;  // whoever has the world needs no help
  m* owner = pp.owner.load(std::memory_order_acquire);
  bool taken = false;
  if (owner != nullptr && pp.status.load(std::memory_order_acquire) == p_status::running) {
    owner->shake.claim();
    base::hardware::heavy_fence();
    taken = owner->shake.decide(0, [&] {
      if (owner->processor != &pp || pp.tick.load(std::memory_order_relaxed) != tick) return false;
      r.at_large.fetch_add(1, std::memory_order_relaxed);
      return true;
    });
    if (taken) pp.owner.store(nullptr, std::memory_order_relaxed);
  }
  r.world.release();
  if (taken) hand_off(pp);
  return taken;
}

// True if something was done, so that the next look should come soon.
bool watch(p& pp, std::int64_t now) noexcept {
  if (pp.status.load(std::memory_order_acquire) != p_status::running) return false;
  std::uint32_t tick = pp.tick.load(std::memory_order_relaxed);
  if (tick != pp.seen_tick) {
    pp.seen_tick = tick;
    pp.seen_at = now;
    pp.asked_to_yield = false;
    return false;
  }
  std::int64_t standing = now - pp.seen_at;
  // Such calls come in crowds: behind one that has just cost us its time stand others like it.
  std::int64_t patience =
      now - pp.taken_from_sleeper_at < crowd_ns ? crowd_block_ns : unannounced_block_ns;
  if (standing < patience || !work_waits_for(pp, now)) return false;
  m* owner = pp.owner.load(std::memory_order_acquire);
  if (owner == nullptr) return false;
  if (standing < slice_ns_max) {
    // Opening a file of /proc costs more than a round of ours.
    if (now - pp.asked_kernel_at < patience) return false;
    pp.asked_kernel_at = now;
    bool outside = owner->shake.where() != zone::runtime;
    bool taken = outside && platform::thread_sleeps(owner->tid.load(std::memory_order_relaxed)) &&
                 revoke(pp, tick);
    if (taken) pp.taken_from_sleeper_at = now;
    return taken;
  }
  if (!pp.asked_to_yield) {
    pp.asked_to_yield = true;
    owner->shake.ask_to_yield();
    return true;
  }
  return standing >= slice_ns_max + deaf_ns && revoke(pp, tick);
}

// Whether some P's queue waits and was not worked off since the last look.
bool some_queue_stands_still() noexcept {
  runtime& r = rt();
  if (r.global_size.load(std::memory_order_relaxed) != 0) return true;
  bool found = false;
  int n = r.p_made.load(std::memory_order_acquire);
  for (int i = 0; i < n; ++i) {
    p& pp = *r.all_p[i].load(std::memory_order_relaxed);
    if (pp.queue.empty() && pp.mail_size.load(std::memory_order_relaxed) == 0) continue;
    const void* next = pp.queue.look_next();
    std::uint32_t head = pp.queue.head();
    std::uint32_t turns = pp.turns.load(std::memory_order_relaxed);
    found = found || pp.status.load(std::memory_order_relaxed) != p_status::running ||
            (next == pp.seen_next && head == pp.seen_head && turns == pp.seen_turns);
    pp.seen_next = next;
    pp.seen_head = head;
    pp.seen_turns = turns;
  }
  return found;
}

// Work that waits although a P is idle: what was not announced or missed, or a thread that could not be started.
bool rescue(std::int64_t now) noexcept {
  runtime& r = rt();
  if (r.gate.idle() == 0 || r.gate.spinning() != 0) {
    return false;
  }
  std::int64_t due = earliest_timer();
  bool overdue = due != platform::time_never && due + nap_ns_max <= now;
  if (!some_queue_stands_still() && !overdue) return false;
  wake_spinner();
  return true;
}

void keep_house() noexcept {
  runtime& r = rt();
  if (r.follow_quota.load(std::memory_order_relaxed)) adjust_procs_to_quota();
  r.gs.trim(idle_stacks_kept);
  r.house_keepings.fetch_add(1, std::memory_order_relaxed);
}

bool all_idle() noexcept {
  runtime& r = rt();
  return r.gate.idle() >= r.procs.load(std::memory_order_relaxed) ||
         !r.active.load(std::memory_order_relaxed);
}

// Sleeps while nothing can happen: every P is idle, and has been for a while. A program that waits for something every
// few microseconds should not wake us each time.
void sleep_if_all_idle(std::int64_t& idle_since) noexcept {
  runtime& r = rt();
  if (!all_idle()) {
    idle_since = 0;
    return;
  }
  std::int64_t now = platform::nanotime();
  if (idle_since == 0) idle_since = now;
  if (now - idle_since < drowsy_ns) return;
  r.sysmon_asleep.store(true, std::memory_order_relaxed);
  base::hardware::fence();
  std::int64_t recheck = housekeeping_ns;
  bool woken = false;
  while (!woken && all_idle() && may_end_in_deadlock()) {
    // Nothing will wake us when the last thread that could still do something ends.
    woken = r.sysmon_bed.park(platform::nanotime() + recheck);
    keep_house();
    recheck = std::min(2 * recheck, recheck_ns_max);
  }
  // Who was woken looks again from the beginning: it may all be over by now, and be a deadlock.
  if (!woken && all_idle()) {
    // Once more after a while, to give memory back; then for good.
    if (!r.sysmon_bed.park(platform::nanotime() + housekeeping_ns)) {
      do keep_house();
      while (r.gs.trim(idle_stacks_kept) != 0);
      r.sysmon_bed.park();
    }
  }
  r.sysmon_asleep.store(false, std::memory_order_relaxed);
  idle_since = 0;
}

void sysmon(void*) {
  runtime& r = rt();
  r.sysmon_tid.store(platform::thread_id(), std::memory_order_relaxed);
  r.sysmon_frames = {platform::current_thread_stack().lowest, platform::end_of_first_frame()};
  int idle_rounds = 0;
  std::int64_t idle_since = 0;
  std::int64_t nap = nap_ns_min;
  std::int64_t house_kept = platform::nanotime();
  note_time(house_kept);
  std::atomic<std::uint32_t> bed{0};
  for (;;) {
    if (idle_rounds == 0) nap = nap_ns_min;
    if (idle_rounds > short_naps)
      nap = std::min(nap * 2, idle_since != 0 || r.awaits_io() ? drowsy_nap_ns : nap_ns_max);
    platform::futex_wait(bed, 0, platform::nanotime() + nap);
    sleep_if_all_idle(idle_since);
    if (idle_since != 0) idle_rounds = short_naps + 1;
    std::int64_t now = platform::nanotime();
    note_time(now);
    poll_if_neglected(now);
    bool busy = rescue(now);
    int n = r.p_made.load(std::memory_order_acquire);
    for (int i = 0; i < n; ++i) busy |= watch(*r.all_p[i].load(std::memory_order_acquire), now);
    idle_rounds = busy ? 0 : idle_rounds + 1;
    if (now - house_kept >= housekeeping_ns) {
      keep_house();
      house_kept = now;
    }
  }
}

}  // namespace

void start_sysmon() noexcept {
  note_time(platform::nanotime());  // goroutines may park before it is up
  int rc = platform::start_thread(&sysmon, nullptr, "runnel-sysmon");
  if (rc != 0) {
    base::fatal("runnel: the kernel refuses a thread: raise RLIMIT_NPROC or the cgroup's pids.max",
                "cannot start the monitor thread");
  }
}

void wake_sysmon() noexcept {
  runtime& r = rt();
  // Pairs with the fence in sleep_if_all_idle: it sees our P busy, or we see it asleep.
  base::hardware::fence();
  if (r.sysmon_asleep.load(std::memory_order_relaxed)) {
    note_time(platform::nanotime());  // it may have slept for hours, and we park before it is up
    r.sysmon_bed.unpark();
  }
}

}  // namespace runnel::sched
