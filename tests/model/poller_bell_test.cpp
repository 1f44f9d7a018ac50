// The bell by which the M that waits in the poller is called, under every schedule: it is heard each time.
//
// The code of src/poll/net_poller.cpp and sleep_in_poller works on the kernel: what follows is its protocol, step by step
// under the same names. The eventfd is a word on which the poller sleeps until it is not zero.

#include <gtest/gtest.h>

#include <cstdint>

#include "model/expect.h"
#include "platform/clock.h"

namespace runnel::poller_bell_model {
namespace {

using model::finds;
using model::proves;
using std::memory_order;

struct bell_rules {
  bool silences_before_it_forgets = true;  // reads the eventfd, and only then clears `ringing`
  bool one_at_a_time = true;               // in the poller
  bool looks_after_it_says_so = true;      // at its permit, after in_poller was set
};

// The eventfd, level-triggered: who waits for it is told; who reads it resets it.
struct bell {
  explicit bell(const bell_rules& r) : rule(r) {}
  const bell_rules rule;
  model::sync::atomic<bool> ringing{false};
  model::sync::atomic<std::uint32_t> rings{0};

  void interrupt() {
    if (ringing.exchange(true)) return;
    rings.exchange(1);
    model::bed::wake(rings);
  }
  void silence() { rings.exchange(0); }
  void poll() {
    while (rings.load() == 0) model::bed::sleep(rings, 0, platform::time_never);
    if (rule.silences_before_it_forgets) {
      silence();
      ringing.exchange(false);
    } else {
      ringing.exchange(false);
      silence();
    }
    model::sync::fence();
  }
};

struct sleeping_m {
  model::sync::atomic<bool> permit{false};
  model::sync::atomic<bool> in_poller{false};

  // As sleep_in_poller: until it is called.
  void sleep(bell& b) {
    for (;;) {
      bool woken = false;
      if (!b.rule.looks_after_it_says_so) woken = permit.exchange(false);
      in_poller.store(true, memory_order::relaxed);
      model::sync::fence();
      if (b.rule.looks_after_it_says_so) woken = permit.exchange(false);
      if (!woken) {
        b.poll();
        woken = permit.exchange(false);
      }
      in_poller.store(false, memory_order::relaxed);
      if (woken) return;
    }
  }
  void wake(bell& b) {
    permit.exchange(true);
    model::sync::fence();
    if (in_poller.load(memory_order::relaxed)) b.interrupt();
  }
};

// The M is called twice: the second time when it has come out.
model::program_body called_twice(const bell_rules& r = {}) {
  return [=](model::program& p) {
    auto& b = p.make<bell>(r);
    auto& m = p.make<sleeping_m>();
    auto& out = p.make<model::sync::atomic<bool>>(false);
    p.thread("sleeper", [&] {
      m.sleep(b);
      out.store(true);
      m.sleep(b);
    });
    p.thread("caller", [&] {
      m.wake(b);
      while (!out.load()) model::sync::pause();
      m.wake(b);
    });
  };
}

// Somebody else is told to look around meanwhile, without need: rings and permits may come at any time.
model::program_body called_by_two(const bell_rules& r = {}) {
  return [=](model::program& p) {
    auto& b = p.make<bell>(r);
    auto& m = p.make<sleeping_m>();
    auto& out = p.make<model::sync::atomic<bool>>(false);
    p.thread("sleeper", [&] {
      m.sleep(b);
      out.store(true);
      m.sleep(b);
    });
    p.thread("caller", [&] {
      m.wake(b);
      while (!out.load()) model::sync::pause();
      m.wake(b);
    });
    p.thread("other caller", [&] { m.wake(b); });
  };
}

// Two Ms sleep in the poller, and each is called: whoever hears first silences the bell for both.
model::program_body two_sleep(const bell_rules& r = {}) {
  return [=](model::program& p) {
    auto& b = p.make<bell>(r);
    auto* two = &p.make<sleeping_m>();
    auto* one = &p.make<sleeping_m>();
    auto& place = p.make<model::lock>();
    for (sleeping_m* m : {one, two}) {
      p.thread("sleeper", [&b, &place, m] {
        if (b.rule.one_at_a_time) place.acquire();
        m->sleep(b);
        if (b.rule.one_at_a_time) place.release();
      });
    }
    p.thread("caller", [&b, one, two] {
      one->wake(b);
      two->wake(b);
    });
  };
}

TEST(bell_model, is_heard_each_time) {
  EXPECT_TRUE(proves({.max_preemptions = 4}, called_twice()));
  EXPECT_TRUE(proves({.max_preemptions = 3}, called_by_two()));
  EXPECT_TRUE(proves({.max_preemptions = 3}, two_sleep()));
}
TEST(bell_model, would_fail_if_it_were_silenced_after_it_was_forgotten) {
  EXPECT_TRUE(
      finds("", {.max_preemptions = 4}, called_by_two({.silences_before_it_forgets = false})));
}
TEST(bell_model, would_fail_if_two_slept_in_the_poller) {
  EXPECT_TRUE(finds("", {.max_preemptions = 3}, two_sleep({.one_at_a_time = false})));
}
TEST(bell_model, would_fail_if_the_permit_were_looked_at_first) {
  EXPECT_TRUE(finds("", {.max_preemptions = 4}, called_twice({.looks_after_it_says_so = false})));
}

}  // namespace
}  // namespace runnel::poller_bell_model
