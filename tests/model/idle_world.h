#pragma once
// What idle.cpp, schedule.cpp and switch.h do with the idle gate, in miniature: without timers, stops and the
// sleeper, and with one look at each queue for a spin. The gate, the run queues and the parkers are the real ones.
//
// An item runs for ever: its M never looks at a queue again, its own included. So with a P for every item, each must
// be found. When all are, the Ms that wait are sent home; if one is not, they sleep for ever, which the interleaver
// reports as a deadlock. A program has a few threads that can be started; schedules that need more end there, for
// somebody would have come.

#include <algorithm>
#include <atomic>

#include "model/interleaver.h"
#include "platform/parker.h"
#include "sched/run_queue.h"

namespace runnel::sched::idle_model {

using model::var;

constexpr auto relaxed = std::memory_order_relaxed;

// What a test may leave out, or try.
struct rules {
  bool look_again = true;      // a spinner that goes idle looks at every queue once more
  bool pass_the_torch = true;  // the last spinner that found work wakes the next
  bool idlers_look = true;  // who goes idle without having spun looks too, if nobody spins by then
};

struct holding {
  explicit holding(model::lock& l) : of(l) { of.acquire(); }
  ~holding() { of.release(); }
  model::lock& of;
};

struct item {
  var<int> contents;
};

template <class Sync, class Gate>
struct world {
  static constexpr int many = 4;

  struct p {
    run_queue<item, Sync, 4> ring;
    var<p*> next_idle{nullptr};
  };
  struct m {
    model::lock unborn;
    platform::basic_parker<Sync, model::bed> parked;
    p* processor = nullptr;
    var<bool> spinning{false};
    var<p*> next_p{nullptr};
    var<m*> next_idle{nullptr};
  };

  explicit world(const rules& r) : rule(r) {}

  const rules rule;
  Gate gate;
  model::lock lock;
  p ps[many];
  m ms[many];
  int procs = 0, items_made = 0, ms_made = 0, ms_used = 0;
  // Outside of the model.
  int claimants = 0;
  bool out_of_threads = false;
  item items[many];
  typename Sync::template atomic<int> found{0}, global_size{0};
  // Under the lock.
  var<item*> global[many];
  var<p*> idle_ps{nullptr};
  var<m*> idle_ms{nullptr};
  var<bool> over{false};

  // --- set-up ---
  p& add_p() { return ps[procs++]; }
  p& add_idle_p() {
    p& pp = add_p();
    add_idle_p_locked(pp);
    return pp;
  }
  m& add_m() {
    ++ms_used;
    return ms[ms_made++];
  }
  m& add_m(p& of) {
    m& made = add_m();
    made.processor = &of;
    return made;
  }
  void add_threads(model::program& program, int n) {
    for (; n > 0; --n) {
      m& made = ms[ms_made++];
      made.unborn.acquire();
      program.thread("started", [this, &made] {
        made.unborn.acquire();
        take_next_p(made);
        run_loop(made);
      });
    }
  }
  item* make() { return &items[items_made++]; }

  // --- publishers ---
  void publish(p& pp, item* it) {
    it->contents = 1;
    model::check(pp.ring.push(it), "there is room");
  }
  void put_local(p& pp, item* it) {
    publish(pp, it);
    notify_work();
  }
  void put_next(p& pp, item* it) {
    it->contents = 1;
    model::check(pp.ring.replace_next(it) == nullptr, "there is room");
    notify_work();
  }
  void put_global(item* it) {
    it->contents = 1;
    {
      holding hold(lock);
      int n = global_size.load(relaxed);
      global[n] = it;
      global_size.store(n + 1, relaxed);
    }
    notify_work();
  }
  void notify_work() {
    if (gate.nobody_will_come()) wake_spinner();
  }

  // --- the lists ---
  p* take_idle_p_locked() {
    p* pp = idle_ps;
    if (pp == nullptr) return nullptr;
    idle_ps = pp->next_idle;
    gate.take_idle_locked();
    return pp;
  }
  void add_idle_p_locked(p& pp) {
    pp.next_idle = idle_ps;
    idle_ps = &pp;
    gate.add_idle_locked();
  }
  // A fair share: one to run, the rest into the ring.
  item* take_global_locked(p& to) {
    int size = global_size.load(relaxed);
    if (size == 0) return nullptr;
    int left = size - std::min(size / procs + 1, size);
    global_size.store(left, relaxed);
    for (int i = left + 1; i < size; ++i) to.ring.push(global[i]);
    return global[left];
  }
  bool any_queue_has_work() {
    if (global_size.load(relaxed) != 0) return true;
    for (int i = 0; i < procs; ++i) {
      if (!ps[i].ring.empty()) return true;
    }
    return false;
  }

  // --- spinning ---
  bool begin_spinning(m& self) {
    if (self.spinning) return true;
    int busy = procs - gate.idle();
    if (procs == 1 || 2 * gate.spinning() >= busy) return false;
    self.spinning = true;
    gate.begin_spinning();
    return true;
  }
  void end_spinning_with_work(m& self) {
    self.spinning = false;
    if (gate.end_spinning() && rule.pass_the_torch && gate.idle() != 0) wake_spinner();
  }
  void wake_spinner() {
    if (gate.claim_wake()) wake_claimed();
  }
  void wake_claimed() {
    model::check(++claimants == 1, "one waker at a time");
    p* pp;
    {
      holding hold(lock);
      pp = take_idle_p_locked();
      --claimants;
      if (pp == nullptr) gate.give_up_wake_locked();
    }
    if (pp != nullptr) start_m(*pp);
  }
  void start_m(p& pp) {
    m* idle;
    bool fresh = false;
    {
      holding hold(lock);
      idle = idle_ms;
      if (idle != nullptr) {
        idle_ms = idle->next_idle;
      } else if (ms_used != ms_made) {
        idle = &ms[ms_used++];
        fresh = true;
      }
      if (idle != nullptr) {
        idle->next_p = &pp;
        idle->spinning = true;
      } else if (!over) {
        out_of_threads = true;
        send_home_locked();
      }
    }
    if (fresh) return idle->unborn.release();
    if (idle != nullptr) return idle->parked.unpark();
    gate.end_spinning();
    holding hold(lock);
    add_idle_p_locked(pp);
  }

  // --- an M ---
  item* go_idle(m& self) {
    {
      holding hold(lock);
      if (item* got = take_global_locked(*self.processor)) return got;
      add_idle_p_locked(*self.processor);
      self.processor = nullptr;
    }
    bool look = rule.idlers_look && !self.spinning && gate.spinning() == 0;
    if (self.spinning) {
      self.spinning = false;
      gate.end_spinning();
      look = rule.look_again;
    }
    if (look && any_queue_has_work()) {
      holding hold(lock);
      if (p* pp = take_idle_p_locked()) {
        self.processor = pp;
        self.spinning = true;
        gate.begin_spinning();
        return nullptr;
      }
    }
    wait_for_work(self);
    return nullptr;
  }
  // Without a P afterwards: all is over.
  void wait_for_work(m& self) {
    {
      holding hold(lock);
      if (over) return;
      self.next_idle = idle_ms;
      idle_ms = &self;
    }
    self.parked.park();
    take_next_p(self);
  }
  void take_next_p(m& self) {
    holding hold(lock);
    self.processor = self.next_p;
    self.next_p = nullptr;
  }
  item* steal(p& mine) {
    for (int i = 0; i < procs; ++i) {
      if (&ps[i] == &mine) continue;
      if (item* got = mine.ring.steal_from(ps[i].ring)) return got;
      item* next = ps[i].ring.look_next();
      if (next != nullptr && ps[i].ring.steal_next(next)) return next;
    }
    return take_global(mine);
  }
  item* take_global(p& to) {
    if (global_size.load(relaxed) == 0) return nullptr;
    holding hold(lock);
    return take_global_locked(to);
  }
  void go_idle_and_on(m& self) {
    if (item* got = go_idle(self)) return run(self, got);
    run_loop(self);
  }
  item* find_runnable(m& self) {
    while (self.processor != nullptr) {
      p& mine = *self.processor;
      if (item* got = mine.ring.pop_next()) return got;
      if (item* got = mine.ring.pop()) return got;
      if (item* got = take_global(mine)) return got;
      if (begin_spinning(self)) {
        if (item* got = steal(mine)) return got;
      }
      if (item* got = go_idle(self)) return got;
    }
    return nullptr;
  }
  void run_loop(m& self) {
    if (item* got = find_runnable(self)) run(self, got);
  }
  void run(m& self, item* got) {
    if (self.spinning) end_spinning_with_work(self);
    model::check(got->contents == 1, "found once, with its contents");
    got->contents = 2;
    if (found.fetch_add(1, relaxed) + 1 == items_made) send_home();
  }
  void send_home() {
    holding hold(lock);
    send_home_locked();
  }
  void send_home_locked() {
    over = true;
    for (m* idle = idle_ms; idle != nullptr; idle = idle->next_idle) idle->parked.unpark();
    idle_ms = nullptr;
    while (ms_used != ms_made) ms[ms_used++].unborn.release();
  }
};

}  // namespace runnel::sched::idle_model
