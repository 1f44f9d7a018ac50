#include "sched/goroutine.h"

#include <cstdlib>
#include <exception>
#include <new>

#include "base/check.h"
#include "base/panic_record.h"
#include "sched/lifecycle.h"
#include "sched/spawn.h"
#include "sched/switch.h"

namespace runnel::sched {
namespace {

constexpr std::size_t cached_gs_max = 64;

// Runs the user's function, and what must run as the user's: in zone `user`. No handler but goexit's: see crash.cpp.
void run_work(g& me) {
  task* work = me.work;
  try {
    work->invoke(reinterpret_cast<char*>(work) + work->closure_at);
  } catch (const exit_signal& e) {
    e.arrived = true;
    if (work->is_main) rt().main_exited.store(true, std::memory_order_relaxed);
  }
  if (me.panics.newest != nullptr) detail::drop_panics(me.panics, nullptr);
  if (me.locals != nullptr) destroy_locals(me);
  check_no_mutex_held(me, held_when::ends);
}

void end_work(m& self, g& me) noexcept {
  task* work = me.work;
  me.work = nullptr;
  p& pp = *self.processor;
  release_record(&pp, work);
  p::bump(pp.finished);
  if (rt().main_exited.load(std::memory_order_relaxed) && count_goroutines() == 0) [[unlikely]] {
    base::fatal("no goroutines (main called goexit) - deadlock!");
  }
}

// Post-switch action: the G is off its stack and may serve again.
void put_back(m& self, g* left, void*) {
  left->state.store(g_state::idle, std::memory_order_relaxed);
  runtime& r = rt();
  if (self.processor == nullptr || left->slot.size != r.default_slot) {
    r.gs.give(left);
    return;
  }
  p& pp = *self.processor;
  pp.free_gs.push_front(left);
  if (pp.free_gs.size() > cached_gs_max) {
    base::intrusive_queue<runnable> half;
    for (std::size_t i = 0; i < cached_gs_max / 2; ++i) half.push_back(pp.free_gs.pop_front());
    r.gs.give(half);
  }
}

// What ended on this stack goes on with `next` on the same stack, if that is new and fits.
bool adopt_in_place(g& me, runnable* next) noexcept {
  if (next == nullptr || !next->fresh) return false;
  auto* work = static_cast<task*>(next);
  if (work->stack_size != 0 || me.slot.size != rt().default_slot) return false;
  platform::fpu_control left_behind;
  left_behind.save();
  adopt(me, work);
  if (!left_behind.same_as(me.context.fpu)) me.context.fpu.load();
  me.state.store(g_state::running, std::memory_order_relaxed);
  return true;
}

// The main goroutine's end: no P any more, and the run is over. Returns when the G has new work.
m* retire(g& me) noexcept {
  m* self = current_m();
  self->shake.enter();  // there is no P to be lost; the loop must find the zone right
  release_record(nullptr, me.work);
  me.work = nullptr;
  if (me.lock_count != 0) {
    me.lock_count = 0;
    me.locked_m = nullptr;
    self->locked_g = nullptr;
  }
  return suspend_to_loop(self, {&put_back, &me, nullptr});
}

}  // namespace

exit_signal::~exit_signal() {
  if (arrived) return;
  base::fatal(
      "runnel: goexit unwinds the stack by an exception; a handler \"catch (...)\" on its way must "
      "throw it again (throw;)",
      "goexit was stopped by a catch (...)");
}

void adopt(g& me, task* work) noexcept {
  me.work = work;
  me.epoch = rt().epoch.load(std::memory_order_relaxed);
  me.context.fpu = rt().initial_fpu;
  me.id.store(work->id, std::memory_order_relaxed);
  me.reason.store(wait_reason::none, std::memory_order_relaxed);
}

g* acquire_g(m& self, std::size_t stack_size) noexcept {
  runtime& r = rt();
  bool standard = stack_size == 0;
  std::size_t slot = standard ? r.default_slot : memory::stack_space::slot_size_for(stack_size);
  base::intrusive_queue<runnable> few;
  base::intrusive_queue<runnable>& cache =
      standard && self.processor != nullptr ? self.processor->free_gs : few;
  if (cache.empty()) r.gs.take(slot, standard ? cached_gs_max / 2 : 1, cache);
  if (!cache.empty()) return static_cast<g*>(cache.pop_front());
  g* made = r.gs.create(slot);
  if (made == nullptr) {
    base::fatal(
        "runnel: no memory for a goroutine's stack: the address space (RLIMIT_AS, "
        "vm.overcommit_memory=2, "
        "vm.max_map_count) or the memory is used up; fewer goroutines at once, or a smaller "
        "options.stack_size, need less",
        "out of memory for goroutine stacks");
  }
  return made;
}

void goroutine_main(void* argument, void* value) {
  g& me = *static_cast<g*>(argument);
  m* self = static_cast<m*>(value);
  me.context.sanitizer.after_switch();
  run_post(*self);
  for (;;) {
    leave(self);
    run_work(me);
    if (me.work->is_main && !rt().main_exited.load(std::memory_order_relaxed)) {
      end_run(me);
      self = retire(me);
      continue;
    }
    self = enter();
    end_work(*self, me);
    bool locked = me.lock_count != 0;
    runnable* next = locked ? nullptr : next_fast(*self);
    if (adopt_in_place(me, next)) continue;
    if (locked) {
      me.lock_count = 0;
      me.locked_m = nullptr;
      self->locked_g = nullptr;
      self->exit_thread = true;
    }
    self->post = {&put_back, &me, nullptr};
    if (next != nullptr) {
      self = run_next(self, me.context, next);
    } else {
      self->run_nothing();
      self = switch_execution(self, me.context, self->own);
    }
    run_post(*self);
  }
}

}  // namespace runnel::sched
