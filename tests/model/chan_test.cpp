// A channel under every schedule: nothing is lost or doubled, each sender's values keep their order, nobody waits for
// what is there, and a close wakes all.
//
// The real channel runs on the scheduler, so this models the protocol of src/chan by the same steps: a lock, a ring,
// two queues of waiters on their stacks; who finds nothing queues up with the lock held and releases it when it parks;
// a partner is taken out under the lock and woken after; a fast look without the lock decides whether trying is worth
// while. The parkers are the real ones.

#include <gtest/gtest.h>

#include <atomic>
#include <string>

#include "model/expect.h"
#include "platform/parker.h"

namespace runnel::chan_model {
namespace {

using model::finds;
using model::proves;
using model::var;

constexpr auto relaxed = std::memory_order_relaxed;
constexpr auto acquire = std::memory_order_acquire;
constexpr auto release = std::memory_order_release;

// What a test may leave out, or do in the wrong order.
struct rules {
  bool refill = true;           // a receiver moves the first waiting sender's value into the ring
  bool close_wakes_all = true;  // not only one of each queue
  bool queue_before_unlock = true;  // who waits is in the queue before anybody else gets the lock
  bool closed_is_read_last = true;  // by the fast look of a receiver
};

enum class outcome { waiting, done, closed };

struct node {
  platform::basic_parker<model::sync, model::bed> parked;
  var<int> element{0};
  var<outcome> result{outcome::waiting};
  var<node*> next{nullptr};
};

struct queue {
  model::sync::atomic<node*> head{nullptr};
  var<node*> tail{nullptr};

  bool empty() const { return head.load(relaxed) == nullptr; }
  void push(node& n) {
    n.next = nullptr;
    if (empty()) {
      head.store(&n, relaxed);
    } else {
      tail.get()->next = &n;
    }
    tail = &n;
  }
  node* pop() {
    node* first = head.load(relaxed);
    if (first != nullptr) head.store(first->next, release);
    return first;
  }
};

constexpr int ring_max = 2;
constexpr int end_of_values = -1, nothing_now = -2;

struct channel {
  explicit channel(int n, const rules& r) : rule(r), capacity(n) {}

  const rules rule;
  const int capacity;
  model::lock lock;
  model::sync::atomic<int> count{0};
  model::sync::atomic<bool> closed{false};
  var<int> head{0};
  var<int> ring[ring_max];
  queue receivers, senders;
  node nodes[model::max_threads];  // one for each thread: its stack

  bool try_send_locked(int v, node*& partner) {
    if (node* r = receivers.pop()) {
      r->element = v;
      r->result = outcome::done;
      partner = r;
      return true;
    }
    int n = count.load(relaxed);
    if (n == capacity) return false;
    ring[(head + n) % ring_max] = v;
    count.store(n + 1, relaxed);
    return true;
  }

  // False: closed.
  bool send(int me, int v) {
    lock.acquire();
    if (closed.load(relaxed)) {
      lock.release();
      return false;
    }
    node* partner = nullptr;
    if (try_send_locked(v, partner)) {
      lock.release();
      if (partner != nullptr) partner->parked.unpark();
      return true;
    }
    nodes[me].element = v;
    return wait_in(senders, nodes[me]) == outcome::done;
  }

  int take_locked(node*& partner) {
    int n = count.load(relaxed);
    if (n != 0) {
      int v = ring[head];
      head = (head + 1) % ring_max;
      node* s = rule.refill ? senders.pop() : nullptr;
      if (s != nullptr) {
        ring[(head + n - 1) % ring_max] = s->element;
        s->result = outcome::done;
        partner = s;
      } else {
        count.store(n - 1, release);
      }
      return v;
    }
    if (node* s = senders.pop()) {
      int v = s->element;
      s->result = outcome::done;
      partner = s;
      return v;
    }
    return closed.load(relaxed) ? end_of_values : nothing_now;
  }

  int recv(int me) {
    lock.acquire();
    node* partner = nullptr;
    int v = take_locked(partner);
    if (v != nothing_now) {
      lock.release();
      if (partner != nullptr) partner->parked.unpark();
      return v;
    }
    return wait_in(receivers, nodes[me]) == outcome::done ? nodes[me].element.get() : end_of_values;
  }

  bool recv_would_wait() const {
    if (rule.closed_is_read_last) {
      return count.load(acquire) == 0 && senders.head.load(acquire) == nullptr &&
             !closed.load(acquire);
    }
    bool open = !closed.load(acquire);
    return count.load(relaxed) == 0 && senders.empty() && open;
  }
  int try_recv() {
    if (recv_would_wait()) return nothing_now;
    lock.acquire();
    node* partner = nullptr;
    int v = take_locked(partner);
    lock.release();
    if (partner != nullptr) partner->parked.unpark();
    return v;
  }

  void close() {
    node* waited[2 * model::max_threads];
    int n = 0;
    lock.acquire();
    closed.store(true, release);
    for (queue* q : {&receivers, &senders}) {
      while (node* one = q->pop()) {
        one->result = outcome::closed;
        waited[n++] = one;
        if (!rule.close_wakes_all) break;
      }
    }
    lock.release();
    for (int i = 0; i < n; ++i) waited[i]->parked.unpark();
  }

  outcome wait_in(queue& q, node& mine) {
    mine.result = outcome::waiting;
    if (rule.queue_before_unlock) {
      q.push(mine);
      lock.release();
    } else {
      lock.release();
      lock.acquire();
      q.push(mine);
      lock.release();
    }
    mine.parked.park();
    return mine.result;
  }
};

struct world {
  world(int capacity, const rules& r) : ch(capacity, r) {}
  channel ch;
  // Kept outside of the model, for the checks alone.
  int seen[16] = {};
  int sum = 0, sent = 0;
  void receive(int v) {
    if (v < 0) return;
    model::check(++seen[v] == 1, "received once");
    ++sum;
  }
};

template <class Body>
model::program_body on(int capacity, Body body, const rules& r = {}) {
  return [=](model::program& p) {
    auto& w = p.make<world>(capacity, r);
    p.label(w.ch, "channel");
    p.label(w.ch.lock, "lock");
    body(p, w);
  };
}

void expect_all(model::program& p, world& w, int n) {
  p.finally([&w, n] { model::check(w.sum == n, "all are received"); });
}

// --- programs ---

auto one_to_one = [](model::program& p, world& w) {
  p.thread("sender", [&w] {
    w.ch.send(0, 1);
    w.ch.send(0, 2);
  });
  p.thread("receiver", [&w] {
    int first = w.ch.recv(1), second = w.ch.recv(1);
    model::check(first == 1 && second == 2, "first in, first out");
  });
};

auto two_to_one = [](model::program& p, world& w) {
  for (int s : {0, 1}) {
    p.thread("sender", [&w, s] {
      w.ch.send(s, 2 * s);
      if (s == 0) w.ch.send(s, 2 * s + 1);
    });
  }
  p.thread("receiver", [&w] {
    int last = -1;
    for (int i = 0; i < 3; ++i) {
      int v = w.ch.recv(2);
      w.receive(v);
      if (v / 2 == 0) {
        model::check(v > last, "a sender's values in their order");
        last = v;
      }
    }
  });
  expect_all(p, w, 3);
};

auto two_to_two = [](model::program& p, world& w) {
  for (int s : {0, 1}) p.thread("sender", [&w, s] { w.ch.send(s, s); });
  for (int r : {2, 3}) p.thread("receiver", [&w, r] { w.receive(w.ch.recv(r)); });
  expect_all(p, w, 2);
};

// The last value leaves, two receivers look for more, and the sender closes.
auto close_after_the_last = [](model::program& p, world& w) {
  p.thread("sender", [&w] {
    model::check(w.ch.send(0, 0), "open");
    w.ch.close();
  });
  for (int r : {1, 2}) {
    p.thread("receiver", [&w, r] {
      for (int v; (v = w.ch.recv(r)) != end_of_values;) w.receive(v);
    });
  }
  expect_all(p, w, 1);
};

// Senders that wait when the channel is closed have not sent.
auto close_against_senders = [](model::program& p, world& w) {
  for (int s : {0, 1}) p.thread("sender", [&w, s] { w.sent += w.ch.send(s, s); });
  p.thread("closer", [&w] {
    w.ch.close();
    for (int v; (v = w.ch.recv(2)) != end_of_values;) w.receive(v);
  });
  p.finally([&w] { model::check(w.sum == w.sent, "what was sent, and no more"); });
};

// A value is there, or the channel is closed: at no moment would a receive have to wait.
auto never_empty = [](model::program& p, world& w) {
  w.ch.ring[0] = 0;
  w.ch.count.store(1);
  p.thread("closer", [&w] {
    w.ch.close();
    w.receive(w.ch.recv(0));
  });
  p.thread("observer", [&w] {
    int v = w.ch.try_recv();
    model::check(v != nothing_now, "never empty while open");
    w.receive(v);
  });
  expect_all(p, w, 1);
};

// The ring is full: one receive makes room for the sender, whether it waits already or not.
auto room_for_one = [](model::program& p, world& w) {
  w.ch.ring[0] = 0;
  w.ch.count.store(1);
  p.thread("sender", [&w] { w.ch.send(0, 1); });
  p.thread("receiver", [&w] { model::check(w.ch.recv(1) == 0, "first in, first out"); });
  p.finally([&w] { model::check(w.ch.count.load() == 1, "full again"); });
};

TEST(chan_model, lets_a_sender_into_the_room_that_a_receiver_makes) {
  EXPECT_TRUE(proves(on(1, room_for_one)));
}
TEST(chan_model, hands_over_in_order) {
  for (int capacity : {0, 1, 2}) EXPECT_TRUE(proves(on(capacity, one_to_one))) << capacity;
}
TEST(chan_model, keeps_the_order_of_each_of_two_senders) {
  for (int capacity : {0, 1}) EXPECT_TRUE(proves(on(capacity, two_to_one))) << capacity;
}
TEST(chan_model, serves_two_senders_and_two_receivers) {
  for (int capacity : {0, 1}) EXPECT_TRUE(proves(on(capacity, two_to_two))) << capacity;
}
TEST(chan_model, closes_after_the_last_value) {
  for (int capacity : {0, 1}) EXPECT_TRUE(proves(on(capacity, close_after_the_last))) << capacity;
}
TEST(chan_model, closes_against_senders_that_wait) {
  for (int capacity : {0, 1}) EXPECT_TRUE(proves(on(capacity, close_against_senders))) << capacity;
}
TEST(chan_model, is_never_mistaken_for_empty) { EXPECT_TRUE(proves(on(1, never_empty))); }

// --- what the model would find ---

TEST(chan_model, would_fail_if_receivers_did_not_refill_the_ring) {
  EXPECT_TRUE(finds("asleep for ever", on(1, room_for_one, {.refill = false})));
}
TEST(chan_model, would_fail_if_a_close_woke_only_one) {
  EXPECT_TRUE(finds("asleep for ever", on(0, close_after_the_last, {.close_wakes_all = false})));
}
TEST(chan_model, would_fail_if_who_waits_queued_up_too_late) {
  EXPECT_TRUE(finds("asleep for ever", on(0, one_to_one, {.queue_before_unlock = false})));
}
TEST(chan_model, would_fail_if_closed_were_read_first) {
  EXPECT_TRUE(finds("never empty", on(1, never_empty, {.closed_is_read_last = false})));
}

}  // namespace
}  // namespace runnel::chan_model
