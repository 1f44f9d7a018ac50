// The mutex under every schedule: mutual exclusion, no wake-up lost, no touch of a mutex that its owner may destroy.
//
// The code of src/sync/mutex.cpp is no template: what follows is its protocol, function by function under the same names,
// with the same state word and orders. Left out: spinning, which only delays, runs that end, and the clock: who is said
// to be impatient has starved as soon as it has waited once.

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

// What could be left out of the protocol.
struct rules {
  bool marks_waiters = true;                     // who queues up sets `waiters`
  bool gives_woken_back = true;                  // who was woken and queues up again clears `woken`
  bool says_handed = true;                       // a hand-over is told to the waiter
  bool leaves_at_once = true;                    // the change of the word is the last touch
  bool wakes_starving = true;                    // who starves is handed the lock
  memory_order release = memory_order::release;  // of the word, by unlock()
};

struct waiter {
  model::var<bool> handed{false};
  platform::basic_parker<model::sync, model::bed> parked;
};

class mutex {
 public:
  explicit mutex(const rules& r) : r_(r) {}

  void lock(bool impatient) {
    if (!try_lock()) lock_slow(impatient);
  }

  bool try_lock() {
    touch();
    std::uint32_t s = state_.load(memory_order::relaxed);
    return (s & (locked | starving)) == 0 &&
           state_.compare_exchange_strong(s, s | locked, memory_order::acquire,
                                          memory_order::relaxed);
  }

  void unlock() {
    touch();
    std::uint32_t s = state_.load(memory_order::relaxed);
    if ((s & (locked | waiters)) != locked ||
        !state_.compare_exchange_strong(s, s & ~std::uint32_t{locked}, r_.release,
                                        memory_order::relaxed)) {
      unlock_slow();
    }
    if (!r_.leaves_at_once) touch();
  }

  void end() { alive_ = false; }
  bool at_rest() { return state_.load() == 0 && queue_[0] == nullptr; }

  model::sync::atomic<int> handed_over{0};

 private:
  enum bits : std::uint32_t { locked = 1, guard = 2, woken = 4, starving = 8, waiters = 16 };
  static constexpr int many = 3;

  void touch() { check(alive_, "the mutex is there"); }

  void lock_slow(bool impatient) {
    bool awake = false, starved = false, has_waited = false;
    std::uint32_t s = state_.load(memory_order::relaxed);
    for (;;) {
      touch();
      if ((s & (locked | starving)) == 0) {
        std::uint32_t next = s | locked;
        if (awake) next &= ~std::uint32_t{woken};
        if (state_.compare_exchange_weak(s, next, memory_order::acquire, memory_order::relaxed)) {
          break;
        }
        continue;
      }
      if ((s & guard) != 0) {
        model::sync::pause();
        s = state_.load(memory_order::relaxed);
        continue;
      }
      std::uint32_t next = s | guard;
      if (r_.marks_waiters) next |= waiters;
      if (starved) next |= starving;
      if (awake && r_.gives_woken_back) next &= ~std::uint32_t{woken};
      if (!state_.compare_exchange_weak(s, next, memory_order::acquire, memory_order::relaxed)) {
        continue;
      }
      awake = false;
      waiter& me = waiters_[model::scheduled()->self()];
      me.handed = false;
      if (has_waited) {
        push_front(me);
      } else {
        has_waited = true;
        push_back(me);
      }
      state_.fetch_and(~std::uint32_t{guard}, memory_order::release);
      me.parked.park();
      starved = starved || (impatient && r_.wakes_starving);
      if (me.handed) {
        handed_over.fetch_add(1, memory_order::relaxed);
        s = state_.load(memory_order::relaxed);
        if (!starved || (s & waiters) == 0) {
          state_.fetch_and(~std::uint32_t{starving}, memory_order::relaxed);
        }
        break;
      }
      awake = true;
      s = state_.load(memory_order::relaxed);
    }
  }

  void unlock_slow() {
    std::uint32_t seen = state_.load(memory_order::relaxed);
    if ((seen & (locked | starving | woken)) == (locked | woken) &&
        state_.compare_exchange_strong(seen, seen & ~std::uint32_t{locked}, r_.release,
                                       memory_order::relaxed)) {
      return;
    }
    waiter* to_wake = nullptr;
    std::uint32_t s = state_.load(memory_order::relaxed);
    for (;;) {
      touch();
      check((s & locked) != 0, "locked when it is unlocked");
      bool hand_over = (s & starving) != 0;
      bool somebody_awake = (s & woken) != 0;
      if (!hand_over && ((s & waiters) == 0 || somebody_awake)) {
        if (state_.compare_exchange_weak(s, s & ~std::uint32_t{locked}, r_.release,
                                         memory_order::relaxed)) {
          break;
        }
        continue;
      }
      if ((s & guard) != 0) {
        model::sync::pause();
        s = state_.load(memory_order::relaxed);
        continue;
      }
      if (!state_.compare_exchange_weak(s, s | guard, memory_order::acquire,
                                        memory_order::relaxed)) {
        continue;
      }
      to_wake = pop();
      hand_over = hand_over && to_wake != nullptr;
      if (hand_over && r_.says_handed) to_wake->handed = true;
      std::uint32_t next;
      s = state_.load(memory_order::relaxed);
      do {
        next = s & ~std::uint32_t{guard};
        if (queue_[0] == nullptr) next &= ~std::uint32_t{waiters};
        if (!hand_over) {
          next &= ~std::uint32_t{locked | starving};
          if (to_wake != nullptr) next |= woken;
        }
      } while (!state_.compare_exchange_weak(
          s, next, r_.release == memory_order::release ? memory_order::acq_rel : r_.release,
          memory_order::relaxed));
      break;
    }
    if (to_wake != nullptr) to_wake->parked.unpark();
  }

  void push_back(waiter& w) {
    int at = 0;
    while (queue_[at] != nullptr) ++at;
    queue_[at] = &w;
  }
  void push_front(waiter& w) {
    for (int i = many - 1; i > 0; --i) queue_[i] = queue_[i - 1];
    queue_[0] = &w;
  }
  waiter* pop() {
    waiter* first = queue_[0];
    for (int i = 0; i + 1 < many; ++i) queue_[i] = queue_[i + 1];
    queue_[many - 1] = nullptr;
    return first;
  }

  const rules r_;
  model::sync::atomic<std::uint32_t> state_{0};
  model::var<waiter*> queue_[many];  // under guard
  waiter waiters_[many];             // by thread
  model::var<bool> alive_{true};
};

struct world {
  explicit world(const rules& r) : mu(r) {}
  mutex mu;
  model::var<int> count{0};
};

// Each of `threads` locks `times` times; those below `impatient` starve as soon as they have waited.
model::program_body counting(int threads, int times, int impatient = 0, const rules& r = {}) {
  return [=](model::program& p) {
    auto& w = p.make<world>(r);
    p.label(w.mu, "mutex");
    for (int t = 0; t < threads; ++t) {
      p.thread("locker", [&w, times, starves = t < impatient] {
        for (int i = 0; i < times; ++i) {
          w.mu.lock(starves);
          w.count += 1;
          w.mu.unlock();
        }
      });
    }
    p.finally([&w, threads, times] {
      check(w.count == threads * times, "one at a time");
      check(w.mu.at_rest(), "nothing is left in the word and in the list");
    });
  };
}

// Whoever is the last to have locked it destroys it, though the others may not have returned from unlock().
model::program_body destroyed_by_the_last(int threads, int impatient, const rules& r = {}) {
  return [=](model::program& p) {
    auto& w = p.make<world>(r);
    p.label(w.mu, "mutex");
    for (int t = 0; t < threads; ++t) {
      p.thread("user", [&w, threads, starves = t < impatient] {
        w.mu.lock(starves);
        w.count += 1;
        bool last = w.count == threads;
        w.mu.unlock();
        if (last) w.mu.end();
      });
    }
  };
}

// So that a waiter is woken, finds a newcomer in its place, starves and is handed the lock.
constexpr model::options few_switches{.max_preemptions = 5};

TEST(mutex_model, lets_one_in_at_a_time_and_forgets_nobody) {
  EXPECT_TRUE(proves({.max_preemptions = 6}, counting(2, 2)));
  EXPECT_TRUE(proves(few_switches, counting(3, 1)));
}

TEST(mutex_model, hands_over_to_those_who_starve) {
  EXPECT_TRUE(proves({.max_preemptions = 6}, counting(2, 2, 2)));
  EXPECT_TRUE(proves(few_switches, counting(3, 1, 1)));
  EXPECT_TRUE(proves(few_switches, counting(3, 1, 3)));
}

TEST(mutex_model, may_be_destroyed_by_the_last_who_has_unlocked_it) {
  EXPECT_TRUE(proves(destroyed_by_the_last(2, 2)));
  EXPECT_TRUE(proves(few_switches, destroyed_by_the_last(3, 0)));
  EXPECT_TRUE(proves(few_switches, destroyed_by_the_last(3, 3)));
}

// Otherwise the above would prove little.
TEST(mutex_model, is_handed_over_in_some_schedules) {
  EXPECT_TRUE(finds("handed over", few_switches, [](model::program& p) {
    auto& w = p.make<world>(rules{});
    for (int t = 0; t < 3; ++t) {
      p.thread("locker", [&w] {
        w.mu.lock(true);
        w.mu.unlock();
      });
    }
    p.finally([&w] { check(w.mu.handed_over.load() == 0, "handed over"); });
  }));
}

// --- what the model would find ---

TEST(mutex_model, would_fail_if_waiters_were_not_marked) {
  EXPECT_TRUE(finds("for ever", counting(2, 1, 0, {.marks_waiters = false})));
}
TEST(mutex_model, would_fail_if_who_queues_up_again_still_counted_as_awake) {
  EXPECT_TRUE(finds("for ever", counting(2, 2, 0, {.gives_woken_back = false})));
}
TEST(mutex_model, would_fail_if_a_hand_over_were_not_told) {
  EXPECT_TRUE(finds("", few_switches, counting(3, 1, 3, {.says_handed = false})));
}
TEST(mutex_model, would_fail_if_unlock_did_not_release) {
  EXPECT_TRUE(finds("data race", counting(2, 1, 0, {.release = memory_order::relaxed})));
}
TEST(mutex_model, would_fail_if_unlock_touched_it_again) {
  EXPECT_TRUE(finds("data race", destroyed_by_the_last(2, 0, {.leaves_at_once = false})));
}

}  // namespace
