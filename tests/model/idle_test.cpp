// Going idle while work arrives, under every schedule: no item waits while a P is idle and nobody comes.

#include "sched/idle_gate.h"

#include <gtest/gtest.h>

#include <string>

#include "model/expect.h"
#include "model/idle_world.h"
#include "model/weakened.h"

namespace runnel::sched {
namespace {

using idle_model::rules;
using idle_model::world;
using model::finds;
using model::proves;

template <class Sync>
struct greedy_gate : idle_gate<Sync> {
  bool claim_wake() noexcept {
    this->begin_spinning();
    return true;
  }
};

template <class Sync = model::sync, template <class> class Gate = idle_gate, class Body>
model::program_body on(Body body, const rules& r = {}) {
  return [=](model::program& p) {
    auto& w = p.make<world<Sync, Gate<Sync>>>(r);
    p.label(w.gate, "gate");
    p.label(w.lock, "lock");
    for (int i = 0; i < w.many; ++i) p.label(w.ps[i].ring, "ring" + std::to_string(i));
    for (int i = 0; i < w.many; ++i) p.label(w.ms[i].parked, "parker" + std::to_string(i));
    body(p, w);
    p.finally([&w] {
      model::check(w.out_of_threads || w.found.load() == w.items_made, "all are found");
      model::check(w.gate.spinning() == 0, "nobody counts as a spinner for ever");
    });
  };
}

// --- programs: publishers keep their Ps busy for ever ---

template <bool next>
auto publisher_and_idler = [](model::program& p, auto& w) {
  auto& busy = w.add_p();
  auto& idler = w.add_m(w.add_p());
  auto* work = w.make();
  p.thread("publisher",
           [&w, &busy, work] { next ? w.put_next(busy, work) : w.put_local(busy, work); });
  p.thread("idler", [&w, &idler] { w.run_loop(idler); });
  w.add_threads(p, 2);
};

auto plain_publisher_and_the_only_p = [](model::program& p, auto& w) {
  auto& idler = w.add_m(w.add_p());
  auto* work = w.make();
  p.thread("publisher", [&w, work] { w.put_global(work); });
  p.thread("idler", [&w, &idler] { w.run_loop(idler); });
  w.add_threads(p, 2);
};

// A waker counts as a spinner, finds no idle P and gives up. Meanwhile an M goes idle that has seen it, and a publisher
// wakes nobody.
auto phantom_waker = [](model::program& p, auto& w) {
  auto& busy = w.add_p();
  auto& idler = w.add_m(w.add_p());
  auto* work = w.make();
  w.gate.claim_wake();
  model::check(!w.begin_spinning(idler), "one spinner is enough");
  p.thread("waker", [&w] { w.wake_claimed(); });
  p.thread("publisher", [&w, &busy, work] { w.put_local(busy, work); });
  p.thread("idler", [&w, &idler] { w.go_idle_and_on(idler); });
  w.add_threads(p, 1);
};

auto thief_leaves_work = [](model::program& p, auto& w) {
  auto& busy = w.add_p();
  auto& thief = w.add_m(w.add_p());
  w.add_idle_p();
  w.begin_spinning(thief);
  w.put_local(busy, w.make());
  auto* second = w.make();
  p.thread("publisher", [&w, &busy, second] { w.put_local(busy, second); });
  p.thread("thief", [&w, &thief] { w.run_loop(thief); });
  w.add_threads(p, 1);
};

auto two_publishers = [](model::program& p, auto& w) {
  w.add_idle_p();
  w.add_idle_p();
  for (auto* work : {w.make(), w.make()}) {
    p.thread("publisher", [&w, work] { w.put_global(work); });
  }
  w.add_threads(p, 2);
};

// The first item's M counts as a spinner from the wake-up on until it has the item: another that finds nothing in
// this time goes idle without having spun. Nobody is idle yet when the second item comes.
auto one_after_the_other = [](model::program& p, auto& w) {
  auto& busy = w.add_p();
  auto& idler = w.add_m(w.add_p());
  w.add_idle_p();
  auto *first = w.make(), *second = w.make();
  w.publish(busy, first);
  w.gate.claim_wake();
  model::check(!w.begin_spinning(idler), "one spinner is enough");
  p.thread("publisher", [&w, &busy, second] { w.put_local(busy, second); });
  p.thread("idler", [&w, &idler] { w.go_idle_and_on(idler); });
  w.add_threads(p, 1);
  w.wake_claimed();
};

// An M without a P, back from a call that blocked, takes the one that a spinner has just made idle. The spinner
// looks before the item comes, the other not at all.
auto back_with_the_p_of_a_spinner = [](model::program& p, auto& w) {
  auto& busy = w.add_p();
  auto& spinner = w.add_m(w.add_p());
  auto& back = w.add_m();
  w.begin_spinning(spinner);
  auto* work = w.make();
  p.thread("publisher", [&w, &busy, work] { w.put_local(busy, work); });
  p.thread("spinner", [&w, &spinner] { w.go_idle_and_on(spinner); });
  p.thread("back", [&w, &back] {
    {
      idle_model::holding hold(w.lock);
      back.processor = w.take_idle_p_locked();
    }
    w.run_loop(back);
  });
  w.add_threads(p, 1);
};

TEST(idle_model, finds_what_a_busy_p_publishes) {
  EXPECT_TRUE(proves(on(publisher_and_idler<false>)));
  EXPECT_TRUE(proves(on(publisher_and_idler<true>)));
}
TEST(idle_model, finds_what_a_plain_thread_publishes) {
  EXPECT_TRUE(proves(on(plain_publisher_and_the_only_p)));
}
TEST(idle_model, looks_in_place_of_a_waker_that_gave_up) { EXPECT_TRUE(proves(on(phantom_waker))); }
TEST(idle_model, finds_what_a_thief_leaves) { EXPECT_TRUE(proves(on(thief_leaves_work))); }
TEST(idle_model, wakes_one_after_the_other) { EXPECT_TRUE(proves(on(two_publishers))); }

TEST(idle_model, finds_what_came_before_an_idler_that_did_not_spin) {
  EXPECT_TRUE(proves(on(one_after_the_other)));
  EXPECT_TRUE(proves(on(back_with_the_p_of_a_spinner)));
}

// --- what the model would find ---

TEST(idle_model, would_fail_without_the_publishers_fence) {
  EXPECT_TRUE(finds("asleep for ever", on<model::without_fence>(publisher_and_idler<false>)));
  EXPECT_TRUE(finds("asleep for ever", on<model::without_fence>(publisher_and_idler<true>)));
}
TEST(idle_model, would_fail_if_spinners_did_not_look_again) {
  EXPECT_TRUE(finds("asleep for ever", on(publisher_and_idler<false>, {.look_again = false})));
}
TEST(idle_model, would_fail_if_idlers_that_did_not_spin_never_looked) {
  constexpr rules blind{.idlers_look = false};
  EXPECT_TRUE(finds("asleep for ever", on(phantom_waker, blind)));
  EXPECT_TRUE(finds("asleep for ever", on(one_after_the_other, blind)));
  EXPECT_TRUE(finds("asleep for ever", on(back_with_the_p_of_a_spinner, blind)));
}
TEST(idle_model, would_fail_if_the_last_spinner_woke_nobody) {
  EXPECT_TRUE(finds("asleep for ever", on(thief_leaves_work, {.pass_the_torch = false})));
  EXPECT_TRUE(finds("asleep for ever", on(two_publishers, {.pass_the_torch = false})));
}
TEST(idle_model, would_fail_if_anybody_could_claim_a_wake_up) {
  EXPECT_TRUE(finds("one waker", on<model::sync, greedy_gate>(two_publishers)));
}

}  // namespace
}  // namespace runnel::sched
