// run(): starting a run, ending it, and what fork does to it.

#include "sched/lifecycle.h"

#include <pthread.h>

#include <algorithm>
#include <cstdlib>
#include <new>

#include "base/check.h"
#include "base/debug_switches.h"
#include "base/hooks.h"
#include "platform/cpu.h"
#include "platform/membarrier.h"
#include "platform/thread.h"
#include "platform/tls.h"
#include "runnel/go.h"
#include "runnel/panic.h"
#include "sched/blocking.h"
#include "sched/crash.h"
#include "sched/fault_report.h"
#include "sched/goroutine.h"
#include "sched/idle.h"
#include "sched/leaks.h"
#include "sched/mail.h"
#include "sched/reporter.h"
#include "sched/switch.h"
#include "sched/sysmon.h"
#include "sched/timer_callback.h"
#include "sched/world.h"

namespace runnel::sched {
namespace {

void after_fork_in_child() {
  runtime& r = rt();
  r.forked.store(true, std::memory_order_relaxed);
  r.reporter_started.store(false, std::memory_order_relaxed);  // none of the runtime's threads is
  if (m* self = current_m()) self->shake.surrender();          // its next entry is refused
}

void initialize_once() {
  static const bool done = [] {
    platform::register_membarrier();
    install_crash_report();
    install_fault_report();
    base::hooks.tell_and_exit.store(&tell_of_fatal_error, std::memory_order_release);
    pthread_atfork(nullptr, nullptr, &after_fork_in_child);
    return true;
  }();
  (void)done;
}

int procs_from_environment() noexcept {
  const char* text = std::getenv("RUNNEL_MAXPROCS");
  return text == nullptr ? 0 : std::clamp(std::atoi(text), 0, max_procs_limit);
}

// And whether the quota is followed while it changes: only if nobody has chosen.
int initial_procs(const options& o, bool& follow) {
  follow = false;
  if (o.max_procs > 0) return std::min(o.max_procs, max_procs_limit);
  if (int n = rt().procs_wished.load(std::memory_order_relaxed)) return n;
  if (int n = procs_from_environment()) return n;
  follow = true;
  return std::min(platform::usable_cpus(), max_procs_limit);
}

// A goroutine that will never run. One that has not begun keeps its closure, undestroyed as everything of a
// frozen goroutine, and stays reachable for leak checkers.
void drop_locked(runnable* item) noexcept {
  if (item->fresh) {
    rt().dropped.push_back(item);
  } else {
    static_cast<g*>(item)->state.store(g_state::frozen, std::memory_order_relaxed);
  }
}

// Every P is stopped: forgets everything that could still run.
void freeze() noexcept {
  runtime& r = rt();
  platform::lock_guard hold(r.lock);
  r.epoch.fetch_add(1, std::memory_order_relaxed);
  return_mail_locked();
  runnable* dropped[64];
  while (std::uint32_t count = r.global.pop_front(dropped, 64)) {
    for (std::uint32_t i = 0; i < count; ++i) drop_locked(dropped[i]);
  }
  r.global_size.store(0, std::memory_order_relaxed);
  int n = r.p_made.load(std::memory_order_relaxed);
  for (int i = 0; i < n; ++i) {
    p& pp = *r.all_p[i].load(std::memory_order_relaxed);
    while (runnable* item = pp.queue.pop_next()) drop_locked(item);
    while (runnable* item = pp.queue.pop()) drop_locked(item);
    r.gs.give(pp.free_gs);  // the next run may want stacks of another size
    pp.timers.drop_all(&note_dropped_locked);
    pp.started.store(0, std::memory_order_relaxed);
    pp.finished.store(0, std::memory_order_relaxed);
  }
  r.started_outside.store(0, std::memory_order_relaxed);
  r.io_waits.store(0, std::memory_order_relaxed);
  r.at_large.store(0, std::memory_order_relaxed);  // whoever it counted is frozen
  // Some sleep for a locked goroutine that will never come back: these see that it is frozen. To others a
  // wake-up without a P means nothing.
  for (m* each = r.all_m.load(std::memory_order_relaxed); each != nullptr; each = each->next_all) {
    wake(*each);
  }
}

}  // namespace

constinit immortal_runtime the_runtime;

void end_run(g&) noexcept {
  if (base::debug_switch("leak") != 0) report_leaks_at_exit();
  runtime& r = rt();
  // Our P runs nothing any more; unlike begin_blocking, which would hand it on.
  m* self = enter();
  p& pp = *self->processor;
  disown(*self);
  pp.status.store(p_status::stopped, std::memory_order_release);
  self->shake.surrender();
  stop_the_world();
  freeze();
  r.active.store(false, std::memory_order_release);
  platform::parker* done = r.main_done;
  r.world.release();
  done->unpark();
}

std::int64_t count_goroutines() noexcept {
  runtime& r = rt();
  std::int64_t count = r.started_outside.load(std::memory_order_relaxed);
  int n = r.p_made.load(std::memory_order_acquire);
  for (int i = 0; i < n; ++i) {
    p& pp = *r.all_p[i].load(std::memory_order_relaxed);
    count +=
        pp.started.load(std::memory_order_relaxed) - pp.finished.load(std::memory_order_relaxed);
  }
  return count;
}

int current_procs() {
  runtime& r = rt();
  if (r.active.load(std::memory_order_acquire)) return r.procs.load(std::memory_order_relaxed);
  bool follow;
  return initial_procs(options{}, follow);
}

}  // namespace runnel::sched

namespace runnel::detail {

using namespace runnel::sched;

void run_main(const options& o, void (*call)(void*), void* argument) {
  runtime& r = rt();
  if (current_m() != nullptr) throw runtime_error("runnel: run called from a goroutine; use go");
  check_not_forked();
  initialize_once();
  if (r.run_claimed.exchange(true)) {
    throw runtime_error("runnel: run called while another run is under way");
  }
  struct release_claim {
    ~release_claim() { rt().run_claimed.store(false); }
  } on_exit;

  bool follow;
  int procs = initial_procs(o, follow);
  r.m_limit = std::max(o.max_threads, 1);
  r.default_slot = memory::stack_space::slot_size_for(o.stack_size);
  r.initial_fpu.save();
  platform::parker done;
  r.main_done = &done;
  r.run_tid.store(platform::thread_id(), std::memory_order_relaxed);
  r.deadlock.store(o.deadlock, std::memory_order_relaxed);
  r.main_exited.store(false, std::memory_order_relaxed);

  spawn_slot slot = spawn_prepare(2 * sizeof(void*), alignof(void*));
  struct main_closure {
    void (*call)(void*);
    void* argument;
  };
  ::new (slot.closure) main_closure{call, argument};
  static_cast<task*>(slot.record)->is_main = true;

  r.world.acquire();
  r.procs_wished.store(0, std::memory_order_relaxed);
  r.follow_quota.store(follow, std::memory_order_relaxed);
  r.active.store(true, std::memory_order_release);
  spawn_commit(
      slot,
      [](void* memory) {
        auto* main = static_cast<main_closure*>(memory);
        main->call(main->argument);
      },
      nullptr, nullptr);
  if (!r.sysmon_started) {
    r.sysmon_started = true;
    start_reporter();
    start_sysmon();
  }
  start_the_world(procs);
  done.park();
  base::let_report_end();  // of a goroutine that failed just before: it is told with status 2
}

}  // namespace runnel::detail
