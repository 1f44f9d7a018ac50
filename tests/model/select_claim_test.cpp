// Selects that wait at two channels, under every schedule: each is claimed once, for one of its cases or by its
// deadline; nobody touches it after it has returned; nobody waits for a partner that is there.
//
// The real select runs on the scheduler, so this models the protocol of src/chan/select.cpp by the same steps: all locks
// in order, a try, nodes in all queues, the locks released by whoever runs next, a claim by compare-and-swap, and
// the other nodes taken out afterwards, each under its lock. The parkers are the real ones. Which ready case is
// chosen is not modelled: the first.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <string>

#include "model/expect.h"
#include "platform/parker.h"

namespace runnel::select_model {
namespace {

using model::finds;
using model::proves;
using model::var;

constexpr std::int64_t soon = 1;  // a deadline that may pass at any time
constexpr std::int64_t never = platform::time_never;

// What a test may leave out, or do in the wrong order.
struct rules {
  bool claim_by_exchange = true;       // compare-and-swap, not a look and a store
  bool dequeue = true;                 // the other nodes are taken out before select returns
  bool lock_in_order = true;           // of the channels' addresses, everybody
  bool permit_of_a_late_waker = true;  // who loses to a waker at the deadline waits for its permit
  bool frame_is_copied = true;  // by who releases the locks: nothing is read after the last unlock
  bool frame_needs_a_lock = true;  // and nothing at all if there are none
};

enum claim_state { pending, signalled, timed_out };
enum class outcome { waiting, done, closed };

struct node;

struct waiter {
  model::sync::atomic<int> how{pending};
  var<node*> won{nullptr};
  platform::basic_parker<model::sync, model::bed> parked;
  int claims = 0;  // outside of the model

  bool claim(const rules& rule) {
    int seen = pending;
    bool ours;
    if (rule.claim_by_exchange) {
      ours = how.compare_exchange_strong(seen, signalled, std::memory_order_acq_rel);
    } else {
      ours = how.load(std::memory_order_acquire) == pending;
      if (ours) how.store(signalled, std::memory_order_release);
    }
    if (ours) model::check(++claims == 1, "claimed once");
    return ours;
  }
};

struct node {
  var<waiter*> who{nullptr};
  var<int> element{0};
  var<bool> queued{false};
  var<outcome> result{outcome::waiting};
};

// Few: it is moved up.
struct queue {
  var<node*> at[4];
  var<int> size{0};

  void push(node& n) {
    n.queued = true;
    at[size] = &n;
    size += 1;
  }
  void remove(node& n) {
    if (!n.queued) return;
    int to = 0;
    for (int i = 0; i < size; ++i) {
      node* one = at[i];
      if (one != &n) at[to++] = one;
    }
    size = to;
    n.queued = false;
  }
  node* pop_claimed(const rules& rule) {
    while (size != 0) {
      node* first = at[0];
      remove(*first);
      if (first->who.get()->claim(rule)) {
        first->who.get()->won = first;
        return first;
      }
    }
    return nullptr;
  }
};

struct channel {
  model::lock lock;
  queue receivers, senders;
  var<bool> closed{false};
};

struct one_case {
  channel* ch;
  bool sends;
  int value;
};

constexpr int cases_max = 2;

// On the stack of one who waits: written once more when it goes, which must come after all that others do with it.
struct frame {
  waiter w;
  node nodes[cases_max];
  var<int> n{0};
  var<channel*> order[cases_max];

  void leave() {
    n = -1;
    for (auto& ch : order) ch = nullptr;
    for (auto& one : nodes) {
      one.who = nullptr;
      one.element = -1;
      one.queued = false;
      one.result = outcome::waiting;
    }
    w.won = nullptr;
  }
};

struct world {
  explicit world(const rules& r) : rule(r) {}

  const rules rule;
  channel a, b;
  frame frames[model::max_threads];
  // Of a select that has left its stack: who continues there does the rest.
  model::lock switched_away;
  frame* left_behind = nullptr;
  // Outside of the model.
  int sent = 0, received = 0, ended = 0, timeouts = 0;

  void wake(node& n) { n.who.get()->parked.unpark(); }

  // Under the channel's lock.
  bool try_case(const one_case& c, node*& partner, int& got, bool& was_closed) {
    was_closed = c.ch->closed;
    if (was_closed) return true;
    partner = (c.sends ? c.ch->receivers : c.ch->senders).pop_claimed(rule);
    if (partner == nullptr) return false;
    if (c.sends) {
      partner->element = c.value;
    } else {
      got = partner->element;
    }
    partner->result = outcome::done;
    return true;
  }

  void note(const one_case& c, int got, bool was_closed) {
    if (was_closed) {
      ++ended;
    } else if (c.sends) {
      sent += c.value;
    } else {
      received += got;
    }
  }

  void unlock_all(frame& f) {
    int n = f.n;
    while (n > 0) {
      channel* last = f.order[n - 1];
      last->lock.release();
      --n;
      if (!rule.frame_is_copied) model::check(f.n >= n, "the frame is there");
    }
  }

  bool wait(waiter& w, std::int64_t deadline) {
    if (w.parked.park(deadline)) return true;
    int seen = pending;
    if (w.how.compare_exchange_strong(seen, timed_out, std::memory_order_acq_rel)) return false;
    if (rule.permit_of_a_late_waker) w.parked.park();
    return true;
  }

  // Does one of the cases; `by_another`: the locks are released by release_behind(), on another thread.
  template <int N>
  void select(int me, const one_case (&cases)[N], std::int64_t deadline = never,
              bool by_another = false) {
    frame& f = frames[me];
    bool backwards = !rule.lock_in_order && me % 2 != 0;
    f.n = N;
    for (int i = 0; i < N; ++i) f.order[i] = cases[backwards ? N - 1 - i : i].ch;
    for (int i = 0; i < N; ++i) f.order[i].get()->lock.acquire();
    for (int i = 0; i < N; ++i) {
      node* partner = nullptr;
      int got = 0;
      bool was_closed;
      if (!try_case(cases[i], partner, got, was_closed)) continue;
      unlock_all(f);
      if (partner != nullptr) wake(*partner);
      note(cases[i], got, was_closed);
      f.leave();
      if (by_another) nobody_left_behind();
      return;
    }
    for (int i = 0; i < N; ++i) {
      f.nodes[i].who = &f.w;
      f.nodes[i].element = cases[i].value;
      (cases[i].sends ? cases[i].ch->senders : cases[i].ch->receivers).push(f.nodes[i]);
    }
    if (by_another) {
      left_behind = &f;
      switched_away.release();
    } else {
      unlock_all(f);
    }
    bool in_time = wait(f.w, deadline);
    node* won = in_time ? f.w.won.get() : nullptr;
    int taken = -1;
    for (int i = 0; i < N; ++i) {
      if (won == &f.nodes[i]) {
        taken = i;
        continue;
      }
      if (!rule.dequeue) continue;
      cases[i].ch->lock.acquire();
      (cases[i].sends ? cases[i].ch->senders : cases[i].ch->receivers).remove(f.nodes[i]);
      cases[i].ch->lock.release();
    }
    model::check(in_time == (taken >= 0), "one case, or the deadline");
    if (taken >= 0) {
      note(cases[taken], f.nodes[taken].element, f.nodes[taken].result == outcome::closed);
    } else {
      ++timeouts;
    }
    f.leave();
  }

  void nobody_left_behind() {
    left_behind = nullptr;
    switched_away.release();
  }

  // The post-switch action.
  void release_behind() {
    switched_away.acquire();
    if (left_behind != nullptr) unlock_all(*left_behind);
  }

  void close(channel& c) {
    node* waited[8];
    int n = 0;
    c.lock.acquire();
    c.closed = true;
    for (queue* q : {&c.receivers, &c.senders}) {
      while (node* one = q->pop_claimed(rule)) {
        one->result = outcome::closed;
        waited[n++] = one;
      }
    }
    c.lock.release();
    for (int i = 0; i < n; ++i) wake(*waited[i]);
  }
};

template <class Body>
model::program_body on(Body body, const rules& r = {}) {
  return [=](model::program& p) {
    auto& w = p.make<world>(r);
    p.label(w.a, "a");
    p.label(w.b, "b");
    for (int i = 0; i < model::max_threads; ++i) p.label(w.frames[i], "frame" + std::to_string(i));
    body(p, w);
  };
}

void expect_balance(model::program& p, world& w, int ended = 0) {
  p.finally([&w, ended] {
    model::check(w.sent == w.received, "what was sent was received");
    model::check(w.ended == ended, "as many as waited at the close");
    model::check(w.a.receivers.size == 0 && w.a.senders.size == 0 && w.b.receivers.size == 0 &&
                     w.b.senders.size == 0,
                 "nobody is left in a queue");
  });
}

// --- programs ---

// Whichever of the two comes second finds the first, in one of two ways.
auto two_selects = [](model::program& p, world& w) {
  p.thread("one", [&w] { w.select(0, {{&w.a, true, 1}, {&w.b, false, 0}}); });
  p.thread("other", [&w] { w.select(1, {{&w.a, false, 0}, {&w.b, true, 2}}); });
  expect_balance(p, w);
};

auto two_selects_and_two_senders = [](model::program& p, world& w) {
  p.thread("one", [&w] { w.select(0, {{&w.a, false, 0}, {&w.b, false, 0}}); });
  p.thread("other", [&w] { w.select(1, {{&w.a, false, 0}, {&w.b, false, 0}}); });
  p.thread("sender", [&w] { w.select(2, {{&w.a, true, 1}}); });
  p.thread("sender", [&w] { w.select(3, {{&w.b, true, 2}}); });
  expect_balance(p, w);
};

// One select for two senders, one of which must give up.
auto two_senders_for_one_select = [](model::program& p, world& w) {
  p.thread("select", [&w] { w.select(0, {{&w.a, false, 0}, {&w.b, false, 0}}); });
  p.thread("sender", [&w] { w.select(1, {{&w.a, true, 1}}, soon); });
  p.thread("sender", [&w] {
    w.select(2, {{&w.b, true, 2}}, soon);
    w.close(w.b);
  });
  p.finally([&w] {
    model::check(w.sent == w.received, "what was sent was received");
    model::check((w.received != 0) + w.ended == 1, "the select ends once");
  });
};

auto deadlines_on_both_sides = [](model::program& p, world& w) {
  p.thread("select", [&w] { w.select(0, {{&w.a, false, 0}, {&w.b, false, 0}}, soon); });
  p.thread("sender", [&w] { w.select(1, {{&w.a, true, 1}}, soon); });
  p.thread("sender", [&w] { w.select(2, {{&w.b, true, 2}}, soon); });
  expect_balance(p, w);
};

auto close_and_close = [](model::program& p, world& w) {
  p.thread("select", [&w] { w.select(0, {{&w.a, false, 0}, {&w.b, false, 0}}); });
  p.thread("closer", [&w] { w.close(w.a); });
  p.thread("other closer", [&w] { w.close(w.b); });
  expect_balance(p, w, 1);
};

auto close_against_sender = [](model::program& p, world& w) {
  p.thread("select", [&w] { w.select(0, {{&w.a, false, 0}, {&w.b, false, 0}}); });
  p.thread("closer", [&w] { w.close(w.a); });
  p.thread("sender", [&w] { w.select(1, {{&w.b, true, 1}}, soon); });
  p.finally([&w] {
    model::check(w.sent == w.received, "what was sent was received");
    model::check((w.received != 0) + w.ended == 1, "the select ends once");
  });
};

// The select has left its stack; another thread releases its locks while it may be woken already.
auto locks_released_by_another = [](model::program& p, world& w) {
  w.switched_away.acquire();
  p.thread("select", [&w] { w.select(0, {{&w.a, false, 0}, {&w.b, false, 0}}, never, true); });
  p.thread("post-switch", [&w] { w.release_behind(); });
  p.thread("sender", [&w] { w.select(1, {{&w.a, true, 1}}, soon); });
  p.thread("closer", [&w] { w.close(w.b); });
  p.finally([&w] { model::check(w.sent == w.received, "what was sent was received"); });
};

// A goroutine's deadline: the post-switch action sets the timer, and then releases the locks. Here there are none, as
// when all channels are nil.
auto only_a_timer = [](model::program& p, world& w) {
  auto& timer = p.make<model::lock>();
  w.switched_away.acquire();
  timer.acquire();
  p.thread("select", [&w] {
    frame& f = w.frames[0];
    f.n = 0;
    w.left_behind = &f;
    w.switched_away.release();
    f.w.parked.park();
    f.leave();
  });
  p.thread("post-switch", [&w, &timer] {
    w.switched_away.acquire();
    frame& f = *w.left_behind;
    bool locks = w.rule.frame_needs_a_lock ? f.n != 0 : true;  // known before the timer is set
    timer.release();
    if (locks) w.unlock_all(f);
  });
  p.thread("timer", [&w, &timer] {
    timer.acquire();
    waiter& sleeper = w.frames[0].w;
    int seen = pending;
    if (sleeper.how.compare_exchange_strong(seen, timed_out, std::memory_order_acq_rel)) {
      sleeper.parked.unpark();
    }
  });
};

TEST(select_model, two_selects_meet) { EXPECT_TRUE(proves(on(two_selects))); }
TEST(select_model, two_selects_serve_two_senders) {
  EXPECT_TRUE(proves({.max_preemptions = 3}, on(two_selects_and_two_senders)));
}
TEST(select_model, is_claimed_by_one_of_two_senders) {
  EXPECT_TRUE(proves({.max_preemptions = 3}, on(two_senders_for_one_select)));
}
TEST(select_model, agrees_with_its_partner_on_who_was_in_time) {
  EXPECT_TRUE(proves({.max_preemptions = 3}, on(deadlines_on_both_sides)));
}
TEST(select_model, ends_once_when_both_channels_are_closed) {
  EXPECT_TRUE(proves(on(close_and_close)));
  EXPECT_TRUE(proves({.max_preemptions = 3}, on(close_against_sender)));
}
TEST(select_model, stays_until_its_locks_have_been_released_by_another) {
  EXPECT_TRUE(proves({.max_preemptions = 3}, on(locks_released_by_another)));
}
TEST(select_model, that_waits_for_the_time_alone_is_not_touched_after_it) {
  EXPECT_TRUE(proves(on(only_a_timer)));
}

// --- what the model would find ---

TEST(select_model, would_fail_if_the_claim_were_not_atomic) {
  EXPECT_TRUE(finds("claimed once", on(close_and_close, {.claim_by_exchange = false})));
}
TEST(select_model, would_fail_if_nodes_stayed_in_their_queues) {
  EXPECT_TRUE(finds("", on(close_and_close, {.dequeue = false})));
}
TEST(select_model, would_fail_if_the_locks_were_taken_in_any_order) {
  EXPECT_TRUE(finds("for ever", on(two_selects, {.lock_in_order = false})));
}
TEST(select_model, would_fail_if_a_late_wakers_permit_were_not_awaited) {
  EXPECT_TRUE(finds("race", {.max_preemptions = 3},
                    on(deadlines_on_both_sides, {.permit_of_a_late_waker = false})));
}
TEST(select_model, would_fail_if_the_frame_were_read_after_the_last_unlock) {
  EXPECT_TRUE(finds("race", on(locks_released_by_another, {.frame_is_copied = false})));
}
TEST(select_model, would_fail_if_the_frame_were_read_although_there_is_no_lock) {
  EXPECT_TRUE(finds("race", on(only_a_timer, {.frame_needs_a_lock = false})));
}

}  // namespace
}  // namespace runnel::select_model
