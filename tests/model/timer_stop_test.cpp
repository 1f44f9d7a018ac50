// Timers that are stopped, reset, waited for, left and dropped while they fire, under every schedule.
//
// The code of src/chan/timer_channel.cpp and of the two operations of poll/timer_heap.cpp that it uses is no template:
// what follows is their protocol, function by function under the same names, with one timer, one heap, and model::lock
// for the channel's lock and the heap's. Time is a number that the thread of the P sets; the value sent is the time at
// which it was due, so that a value tells which setting of the timer it belongs to. Runs that end are left out.
//
// Checked everywhere: nobody touches a channel that has ended; the node is never in the heap twice, and not when the
// channel ends; a value is received by one, and not after a stop() or reset() that began later than its setting.

#include <gtest/gtest.h>

#include <cstdint>

#include "model/expect.h"
#include "platform/parker.h"

namespace {

using namespace runnel;
using model::check;
using model::finds;
using model::proves;
using std::memory_order;

constexpr int never = 1000;  // of `when`
constexpr int nothing = 0;   // received
constexpr std::int64_t waits_for_ever = platform::time_never, may_leave = 1;

// The protocol, and what could be left out of it.
struct rules {
  bool retains = true;             // claim() takes a reference
  bool claims_under_lock = true;   // and does so under the heap's lock
  bool drops_value = true;         // set_locked() empties the ring
  bool looks_at_the_clock = true;  // fire() sends only what is due
  bool adds_again = true;          // fire() puts the node back for those who still wait
  bool leaves_heap = true;         // end_wait_locked() takes it out
  bool sees_flight = true;         // begin_wait_locked() knows of a callback that is under way
  bool stops_in_heap = true;       // set_locked() takes it out
};

struct waiter {
  enum : int { pending, signalled, timed_out };
  model::sync::atomic<int> how{pending};
  model::var<int> value{nothing};
  platform::basic_parker<model::sync, model::bed> parked;
};

struct world {
  explicit world(const rules& r) : r(r) {}
  const rules r;

  // --- poll::timer_heap, with at most one node ---

  struct holding {
    explicit holding(model::lock& l) : l(l) { l.acquire(); }
    ~holding() { l.release(); }
    model::lock& l;
  };

  void heap_add() {
    holding hold(heap_lock);
    check(!in_heap, "in a heap once");
    in_heap = true;
    home.store(true, memory_order::release);
  }

  bool heap_remove() {
    while (home.load(memory_order::acquire)) {
      holding hold(heap_lock);
      if (!home.load(memory_order::relaxed)) continue;
      in_heap = false;
      home.store(false, memory_order::relaxed);
      return true;
    }
    return false;
  }

  // The P's: true, and the callback is to be called.
  bool take_due() {
    {
      holding hold(heap_lock);
      if (!in_heap || node_when > now.load(memory_order::relaxed)) return false;
      in_heap = false;
      if (r.claims_under_lock) claim();
      home.store(false, memory_order::release);
    }
    if (!r.claims_under_lock) claim();
    return true;
  }

  void claim() {
    if (r.retains) retain();
  }

  // --- the channel ---

  void touch() { check(alive, "the channel is there"); }
  void retain() {
    touch();
    references.fetch_add(1, memory_order::relaxed);
  }
  void release() {
    touch();
    if (references.fetch_sub(1, memory_order::acq_rel) != 1) return;
    check(!home.load(memory_order::relaxed), "not in a heap when it ends");
    alive = false;
  }

  bool nobody_waits() { return queue[0] == nullptr; }
  void push_back(waiter& w) { queue[queue[0] == nullptr ? 0 : 1] = &w; }
  void remove(waiter& w) {
    if (queue[0] == &w) {
      queue[0] = queue[1];
      queue[1] = nullptr;
    } else if (queue[1] == &w) {
      queue[1] = nullptr;
    }
  }
  waiter* pop_claimed() {
    while (waiter* w = queue[0]) {
      remove(*w);
      int pending = waiter::pending;
      if (w->how.compare_exchange_strong(pending, waiter::signalled, memory_order::acq_rel))
        return w;
    }
    return nullptr;
  }

  bool due() { return when <= now.load(memory_order::relaxed); }

  void put_timer_value_locked(int value, waiter*& partner) {
    partner = pop_claimed();
    if (partner != nullptr) {
      partner->value = value;
    } else if (ring == nothing) {
      ring = value;
    }
  }

  // --- detail::timer_core ---

  void begin_wait_locked() {
    if ((queued && r.sees_flight) || when == never) return;
    queued = true;
    node_when = when;
    heap_add();
  }

  void end_wait_locked() {
    if (!queued || !r.leaves_heap) return;
    if (!nobody_waits() && when != never) return;
    if (heap_remove()) queued = false;
  }

  void fire() {
    waiter* partner = nullptr;
    touch();
    {
      holding hold(lock);
      queued = false;
      if (!r.looks_at_the_clock || due()) {
        int value = r.looks_at_the_clock ? when : node_when;
        when = never;
        put_timer_value_locked(value, partner);
      }
      if (!nobody_waits() && r.adds_again) begin_wait_locked();
    }
    if (partner != nullptr) partner->parked.unpark();
    if (r.retains) release();
  }

  bool set(int new_when) {
    touch();
    holding hold(lock);
    bool pending = ring != nothing || when != never;
    if (r.drops_value) ring = nothing;
    when = new_when;
    if (r.stops_in_heap && queued && heap_remove()) queued = false;
    if (!nobody_waits()) begin_wait_locked();
    return pending;
  }

  // --- receiving ---

  int take_ring() {
    int value = ring;
    ring = nothing;
    return value;
  }

  int try_recv_locked() {
    if (ring == nothing && nobody_waits() && due()) {
      ring = when;
      when = never;
    }
    return take_ring();
  }

  int try_recv() {
    touch();
    holding hold(lock);
    return try_recv_locked();
  }

  int recv(waiter& me, std::int64_t deadline) {
    touch();
    {
      holding hold(lock);
      if (int value = try_recv_locked()) return value;
      push_back(me);
      begin_wait_locked();
    }
    if (!me.parked.park(deadline)) {
      int pending = waiter::pending;
      if (me.how.compare_exchange_strong(pending, waiter::timed_out, memory_order::acq_rel)) {
        holding hold(lock);
        remove(me);
        end_wait_locked();
        return nothing;
      }
      me.parked.park();
    }
    return me.value;
  }

  model::lock lock, heap_lock;
  model::sync::atomic<int> now{0};
  model::sync::atomic<int> references{1};
  model::sync::atomic<bool> home{false};
  // Under the heap's lock; node_when is written while it is out of the heap.
  model::var<bool> in_heap{false};
  model::var<int> node_when{never};
  // Under the channel's lock.
  model::var<int> when{1};
  model::var<bool> queued{false};
  model::var<int> ring{nothing};
  model::var<waiter*> queue[2];
  model::var<bool> alive{true};

  // Of the tests.
  waiter first, second;
  model::sync::atomic<int> ended{0};
  int got[2] = {};
  bool pending = false;
};

template <class Body>
model::program_body on(Body body, const rules& r = {}) {
  return [=](model::program& p) {
    auto& w = p.make<world>(r);
    p.label(w.lock, "lock");
    p.label(w.heap_lock, "heap lock");
    p.label(w.home, "home");
    p.label(w.references, "references");
    p.label(w.first, "first");
    p.label(w.second, "second");
    body(p, w);
  };
}

void fire_if_due(world& w, int time) {
  w.now.store(time);
  if (w.take_due()) w.fire();
}

// A P as long as the one who receives needs it.
void run_p_until(world& w, int last_time) {
  for (int time = 1; time < last_time; ++time) fire_if_due(w, time);
  w.now.store(last_time);
  while (w.ended.load() == 0) {
    if (w.home.load() && w.take_due()) {
      w.fire();
    } else {
      model::sync::pause();
    }
  }
}

// One waits, and may leave; the timer fires; it is stopped. The value is received or it is stopped, and never both.
auto stopped = [](model::program& p, world& w) {
  p.thread("receiver", [&w] { w.got[0] = w.recv(w.first, may_leave); });
  p.thread("P", [&w] { fire_if_due(w, 1); });
  p.thread("stopper", [&w] {
    w.pending = w.set(never);
    check(w.try_recv() == nothing, "nothing stale after stop");
  });
  p.finally([&w] {
    check(w.pending == (w.got[0] == nothing), "either stopped or received");
    check(!w.in_heap && w.ring == nothing, "nothing is left");
    check(w.references.load() == 1, "one handle is left");
  });
};

// One waits for as long as it takes; the timer is reset to a later time.
auto reset = [](model::program& p, world& w) {
  p.thread("receiver", [&w] {
    w.got[0] = w.recv(w.first, waits_for_ever);
    w.ended.fetch_add(1);
  });
  p.thread("P", [&w] { run_p_until(w, 2); });
  p.thread("setter", [&w] { w.pending = w.set(2); });
  p.finally([&w] {
    check(w.got[0] == (w.pending ? 2 : 1), "of the setting that is in force");
    check(!w.in_heap && w.references.load() == 1, "nothing is left");
  });
};

// The same to a sooner one: the later does not come.
auto reset_to_sooner = [](model::program& p, world& w) {
  w.when = 2;
  p.thread("receiver", [&w] {
    w.got[0] = w.recv(w.first, waits_for_ever);
    w.ended.fetch_add(1);
  });
  p.thread("P", [&w] { run_p_until(w, 1); });
  p.thread("setter", [&w] { w.pending = w.set(1); });
  p.finally([&w] {
    check(w.pending && w.got[0] == 1, "of the setting that is in force");
    check(!w.in_heap && w.references.load() == 1, "nothing is left");
  });
};

// Who resets it receives itself, while another who waited before may leave or be served.
auto reset_and_received = [](model::program& p, world& w) {
  p.thread("leaver", [&w] { w.got[0] = w.recv(w.first, may_leave); });
  p.thread("P", [&w] { run_p_until(w, 2); });
  p.thread("setter", [&w] {
    w.pending = w.set(2);
    w.got[1] = w.recv(w.second, may_leave);
    check(w.got[1] != 1, "nothing stale after reset");
    w.ended.fetch_add(1);
  });
  p.finally([&w] {
    check((w.got[0] == 1) == !w.pending, "the first value was received, or dropped");
    check((w.got[0] == 2) + (w.got[1] == 2) <= 1, "the second is received once");
    check(w.references.load() == 1, "one handle is left");
  });
};

// The handles go, one with somebody who waited, while the callback is under way.
auto dropped = [](model::program& p, world& w) {
  w.references.store(2);
  p.thread("receiver", [&w] {
    w.got[0] = w.recv(w.first, may_leave);
    w.release();
  });
  p.thread("P", [&w] { fire_if_due(w, 1); });
  p.thread("owner", [&w] { w.release(); });
  p.finally([&w] {
    check(!w.alive && w.references.load() == 0, "it has ended");
    check(!w.in_heap, "not in a heap");
  });
};

TEST(timer_model, is_either_stopped_or_received) { EXPECT_TRUE(proves(on(stopped))); }
TEST(timer_model, sends_the_value_of_the_setting_in_force) { EXPECT_TRUE(proves(on(reset))); }
TEST(timer_model, fires_sooner_when_it_is_reset_to_that) {
  EXPECT_TRUE(proves(on(reset_to_sooner)));
}
TEST(timer_model, has_nothing_stale_for_who_has_reset_it) {
  EXPECT_TRUE(proves(on(reset_and_received)));
}
TEST(timer_model, lives_until_its_callback_has_ended) { EXPECT_TRUE(proves(on(dropped))); }

// --- what the model would find ---

TEST(timer_model, would_fail_if_the_callback_kept_no_reference) {
  EXPECT_TRUE(finds("", on(dropped, {.retains = false})));
}
TEST(timer_model, would_fail_if_it_were_claimed_outside_of_the_heaps_lock) {
  EXPECT_TRUE(finds("", on(dropped, {.claims_under_lock = false})));
}
TEST(timer_model, would_fail_if_who_leaves_left_it_in_the_heap) {
  EXPECT_TRUE(finds("not in a heap", on(dropped, {.leaves_heap = false})));
}
TEST(timer_model, would_fail_if_stop_left_the_value) {
  EXPECT_TRUE(finds("nothing stale after stop", on(stopped, {.drops_value = false})));
}
TEST(timer_model, would_fail_if_the_callback_did_not_look_at_the_clock) {
  EXPECT_TRUE(finds("", on(stopped, {.looks_at_the_clock = false})));
}
TEST(timer_model, would_fail_if_the_callback_forgot_those_who_wait) {
  EXPECT_TRUE(finds("for ever", on(reset, {.adds_again = false})));
}
TEST(timer_model, would_fail_if_a_callback_under_way_were_not_seen) {
  EXPECT_TRUE(finds("", on(reset, {.sees_flight = false})));
}
TEST(timer_model, would_fail_if_reset_left_it_in_the_heap) {
  EXPECT_TRUE(finds("livelock", on(reset_to_sooner, {.stops_in_heap = false})));
}

}  // namespace
