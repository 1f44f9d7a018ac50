// The run queue between its owner and thieves, under every schedule: each item put in is obtained exactly once for
// each time it was put in, by one thread at a time, with its contents; and the owner sees first in, first out.

#include "sched/run_queue.h"

#include <gtest/gtest.h>

#include <vector>

#include "model/expect.h"
#include "model/weakened.h"

namespace runnel::sched {
namespace {

using model::finds;
using model::proves;

struct item {
  model::var<int> contents;
  int number = 0;
  // Kept outside of the model, for the checks alone.
  bool inside = false;
};

template <class Sync>
struct world {
  static constexpr int items_max = 8;
  using queue = run_queue<item, Sync, 4>;

  item items[items_max];
  queue victim;
  queue own[2];               // of the thieves
  std::vector<item*> global;  // the owner's alone: what a full ring gave up
  int inside = 0;
  int last_popped = -1;

  world() {
    for (int i = 0; i < items_max; ++i) items[i].number = i;
  }

  item* ready(int i) {
    model::check(!items[i].inside, "put in twice");
    items[i].inside = true;
    ++inside;
    items[i].contents = i;
    return &items[i];
  }

  // Works on an item: only whoever has obtained it may.
  void obtain(item* it) {
    model::check(it->inside, "obtained once for each time it was put in");
    it->inside = false;
    --inside;
    model::check(it->contents == it->number, "the contents have come along");
    it->contents = it->number;
  }

  // --- the owner ---
  void put(int i) { place(ready(i)); }
  void put_next(int i) {
    if (item* kicked = victim.replace_next(ready(i))) place(kicked);
  }
  void place(item* it) {
    if (victim.push(it)) return;
    item* half[queue::capacity / 2];
    std::uint32_t n = victim.pop_half(half);
    if (n == 0) {
      model::check(victim.push(it), "thieves have made room");
      return;
    }
    for (std::uint32_t i = 0; i < n; ++i) {
      in_order(half[i]);
      global.push_back(half[i]);
    }
    global.push_back(it);
  }
  bool take() {
    item* it = victim.pop();
    if (it == nullptr) return false;
    in_order(it);
    obtain(it);
    return true;
  }
  bool take_next() {
    item* it = victim.pop_next();
    if (it != nullptr) obtain(it);
    return it != nullptr;
  }
  void in_order(item* it) {
    if (!ordered) return;
    model::check(it->number > last_popped, "first in, first out");
    last_popped = it->number;
  }
  bool ordered = true;

  // --- a thief ---
  bool steal(int thief) { return steal(thief, victim); }
  bool steal(int thief, queue& from) {
    item* it = own[thief].steal_from(from);
    if (it == nullptr) return false;
    obtain(it);
    while ((it = own[thief].pop()) != nullptr) obtain(it);
    return true;
  }
  void steal_next() {
    item* seen = victim.look_next();
    if (seen != nullptr && victim.steal_next(seen)) obtain(seen);
  }

  // --- when all is over ---
  void count() {
    last_popped = -1;
    while (take()) {
    }
    take_next();
    for (item* it : global) obtain(it);
    model::check(inside == 0, "none is lost");
    model::check(victim.empty(), "empty");
  }
};

template <class Sync = model::sync, class Body>
model::program_body on(Body body) {
  return [body](model::program& p) {
    auto& w = p.make<world<Sync>>();
    p.label(w.victim, "queue");
    p.label(w.own[0], "first");
    p.label(w.own[1], "second");
    body(p, w);
    p.finally([&w] { w.count(); });
  };
}

// --- programs ---

auto one_thief = [](model::program& p, auto& w) {
  p.thread("owner", [&w] {
    for (int i = 0; i < 3; ++i) w.put(i);
    while (w.take()) {
    }
  });
  p.thread("thief", [&w] {
    w.steal(0);
    w.steal(0);
  });
};

auto two_thieves = [](model::program& p, auto& w) {
  w.put(0);
  w.put(1);
  w.put(2);
  p.thread("owner", [&w] {
    w.take();
    w.put(3);
  });
  p.thread("thief", [&w] { w.steal(0); });
  p.thread("other thief", [&w] { w.steal(1); });
};

// The owner goes once round the ring while a thief reads slots.
auto around_the_ring = [](model::program& p, auto& w) {
  for (int i = 0; i < 4; ++i) w.put(i);
  p.thread("owner", [&w] {
    w.take();
    w.take();
    w.put(4);
    w.put(5);
    w.take();
  });
  p.thread("thief", [&w] { w.steal(0); });
};

auto overflow = [](model::program& p, auto& w) {
  for (int i = 0; i < 3; ++i) w.put(i);
  p.thread("owner", [&w] {
    w.put(3);
    w.put(4);
    w.take();
  });
  p.thread("thief", [&w] {
    w.steal(0);
    w.steal(0);
  });
};

auto next_slot = [](model::program& p, auto& w) {
  w.ordered = false;
  p.thread("owner", [&w] {
    w.put_next(0);
    w.put_next(1);
    if (w.take_next()) w.put_next(1);  // the same item again
    w.take_next();
    w.take();
  });
  p.thread("thief", [&w] {
    w.steal_next();
    w.steal(0);
    w.steal_next();
  });
};

auto next_slot_and_two_thieves = [](model::program& p, auto& w) {
  w.ordered = false;
  w.put_next(0);
  p.thread("owner", [&w] {
    w.put_next(1);
    w.take_next();
  });
  p.thread("thief", [&w] { w.steal_next(); });
  p.thread("other thief", [&w] {
    w.steal_next();
    w.steal(1);
  });
};

// Somebody steals what the thief has stolen.
auto stolen_from_a_thief = [](model::program& p, auto& w) {
  for (int i = 0; i < 4; ++i) w.put(i);
  p.thread("owner", [&w] {
    w.take();
    w.put(4);
  });
  p.thread("thief", [&w] { w.steal(0); });
  p.thread("other thief", [&w] { w.steal(1, w.own[0]); });
};

// An item is in the queue all the time, but moves from runnext to the ring.
auto never_empty = [](model::program& p, auto& w) {
  w.ordered = false;
  w.put_next(0);
  p.thread("owner", [&w] {
    w.put_next(1);
    w.take_next();
  });
  p.thread("observer", [&w] { model::check(!w.victim.empty(), "never empty"); });
};

TEST(run_queue_model, gives_each_item_once_with_a_thief) { EXPECT_TRUE(proves(on(one_thief))); }
TEST(run_queue_model, gives_each_item_once_with_two_thieves) {
  EXPECT_TRUE(proves(on(two_thieves)));
}
TEST(run_queue_model, goes_round_the_ring_under_a_thief) {
  EXPECT_TRUE(proves(on(around_the_ring)));
}
TEST(run_queue_model, overflows_under_a_thief) { EXPECT_TRUE(proves(on(overflow))); }
TEST(run_queue_model, gives_runnext_once) { EXPECT_TRUE(proves(on(next_slot))); }
TEST(run_queue_model, gives_runnext_once_with_two_thieves) {
  EXPECT_TRUE(proves(on(next_slot_and_two_thieves)));
}
TEST(run_queue_model, lets_a_thief_be_stolen_from) { EXPECT_TRUE(proves(on(stolen_from_a_thief))); }
TEST(run_queue_model, is_not_empty_while_an_item_moves) { EXPECT_TRUE(proves(on(never_empty))); }
TEST(run_queue_model, bears_failures_of_compare_exchange_without_reason) {
  EXPECT_TRUE(proves({.max_spurious = 1}, on(one_thief)));
}

// --- what the model would find ---

TEST(run_queue_model, finds_items_published_without_release) {
  EXPECT_TRUE(finds("data race", on<model::weakened<model::relaxed_stores>>(one_thief)));
  EXPECT_TRUE(finds("data race", on<model::weakened<model::relaxed_stores>>(next_slot)));
}

TEST(run_queue_model, finds_items_taken_without_acquire) {
  EXPECT_TRUE(finds("data race", on<model::weakened<model::relaxed_loads>>(one_thief)));
}

TEST(run_queue_model, finds_a_head_moved_without_comparison) {
  EXPECT_TRUE(finds("obtained once", on<model::weakened<model::torn_exchange>>(one_thief)));
  EXPECT_TRUE(finds("obtained once", on<model::weakened<model::torn_exchange>>(two_thieves)));
  EXPECT_TRUE(finds("obtained once", on<model::weakened<model::torn_exchange>>(next_slot)));
}

}  // namespace
}  // namespace runnel::sched
