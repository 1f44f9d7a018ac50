// Descriptors under every schedule: no event is lost to who waits for it, no event of an earlier use of the memory wakes
// anybody, whoever waits is woken once, by an event, by close, or by its deadline.
//
// The code of src/wait/descriptor.cpp and src/poll/net_poller.cpp works on the kernel and the scheduler: what follows is its
// protocol, step by step under the same names. The kernel's part is a lock around what it knows: bytes that have come, an
// edge that was not yet read, the registration. Parkers are the real ones; a goroutine parks like a thread here.

#include <gtest/gtest.h>

#include <cstdint>

#include "model/expect.h"
#include "platform/parker.h"

namespace runnel::descriptor_model {
namespace {

using model::check;
using model::finds;
using model::proves;
using model::var;
using std::memory_order;

// What could be left out, or done in the wrong order.
struct rules {
  bool counts_events =
      true;  // and the count is read before the try: not a flag that each try clears
  bool reads_count_first = true;  // before the try, not after
  bool looks_at_closing = true;   // under the lock, before a wait begins
  bool changes_tag = true;        // close() does
  bool checks_tag = true;         // delivery does
  bool claims = true;             // a waker claims who has a deadline
  bool unlinks = true;            // who has timed out takes itself out
};

enum outcome : int { pending, signalled, timed_out };
enum class result { ready, closed, timed_out };

struct waiter {
  model::sync::atomic<int> how{pending};
  platform::basic_parker<model::sync, model::bed> parked;
  var<waiter*> next{nullptr};
  var<bool> linked{false};
  var<bool> there{false};  // on the stack of one who waits
};

// A socket in the kernel: bytes, and whether the poller has an edge to tell of, for whom.
struct kernel {
  model::lock lock;
  var<int> bytes{0};
  var<bool> registered{false};
  var<bool> edge{false};
  var<int> tag{0};  // of the registration

  void add(int its_tag) {
    lock.acquire();
    registered = true;
    tag = its_tag;
    edge = bytes != 0;
    lock.release();
  }
  void remove() {
    lock.acquire();
    registered = false;
    edge = false;
    bytes = 0;
    lock.release();
  }
  void send(int count) {
    lock.acquire();
    bytes += count;
    if (registered) edge = true;
    lock.release();
  }
  bool receive() {
    lock.acquire();
    bool got = bytes != 0;
    if (got) bytes += -1;
    lock.release();
    return got;
  }
  // epoll_wait: reads the event; to be delivered later.
  bool take_edge(int& its_tag) {
    lock.acquire();
    bool was = edge;
    edge = false;
    its_tag = tag;
    lock.release();
    return was;
  }
};

class descriptor {
 public:
  explicit descriptor(const rules& r) : r_(r) {}

  void open(kernel& k) {
    lock_.acquire();
    users_.store(1, memory_order::release);
    int tag = tag_;
    lock_.release();
    k.add(tag);
  }

  bool acquire() {
    int users = users_.load(memory_order::relaxed);
    while ((users & closing_bit) == 0) {
      if (users_.compare_exchange_weak(users, users + 1, memory_order::acquire,
                                       memory_order::relaxed)) {
        return true;
      }
    }
    return false;
  }
  void release() {
    if (users_.fetch_sub(1, memory_order::acq_rel) == (closing_bit | 1)) number_closed.store(1);
  }

  // As socket::repeat.
  result read(kernel& k, waiter& me, std::int64_t deadline = platform::time_never) {
    for (;;) {
      if (!acquire()) return result::closed;
      if (!r_.counts_events) events_.store(0, memory_order::relaxed);
      int seen = r_.counts_events ? events_.load(memory_order::acquire) : 0;
      check(number_closed.load() == 0, "the number is open");
      bool got = k.receive();
      if (!r_.reads_count_first) seen = events_.load(memory_order::acquire);
      release();
      if (got) return result::ready;
      result how = wait(me, seen, deadline);
      if (how != result::ready) return how;
    }
  }

  result wait(waiter& me, int seen, std::int64_t deadline) {
    me.how.store(pending, memory_order::relaxed);
    lock_.acquire();
    if (r_.looks_at_closing && (users_.load(memory_order::relaxed) & closing_bit) != 0) {
      lock_.release();
      return result::closed;
    }
    if (events_.load(memory_order::relaxed) != seen) {
      if (!r_.counts_events) events_.store(0, memory_order::relaxed);
      lock_.release();
      return result::ready;
    }
    push(me);
    me.there = true;
    lock_.release();
    result how = result::ready;
    if (!me.parked.park(deadline)) {
      int seen_how = pending;
      if (me.how.compare_exchange_strong(seen_how, timed_out, memory_order::acq_rel)) {
        how = result::timed_out;
        if (r_.unlinks) {
          lock_.acquire();
          if (me.linked) remove(me);
          lock_.release();
        }
      } else {
        me.parked.park();
      }
    }
    me.there = false;
    if ((users_.load(memory_order::relaxed) & closing_bit) != 0) how = result::closed;
    return how;
  }

  void deliver(int tag) {
    ready_list ready;
    lock_.acquire();
    if (!r_.checks_tag || tag == tag_) {
      delivered += 1;
      if (r_.counts_events) {
        events_.fetch_add(1, memory_order::release);
      } else if (first_ == nullptr) {
        events_.store(1, memory_order::relaxed);
      }
      ready = take_waiting_locked();
    }
    lock_.release();
    put_ready(ready);
  }

  void close(kernel& k) {
    if ((users_.fetch_or(closing_bit, memory_order::acq_rel) & closing_bit) != 0) return;
    k.remove();
    lock_.acquire();
    if (r_.changes_tag) tag_ += 1;
    ready_list ready = take_waiting_locked();
    lock_.release();
    put_ready(ready);
    release();
  }

  bool at_rest() { return first_ == nullptr; }
  bool open_for_use() { return (users_.load(memory_order::relaxed) & closing_bit) == 0; }

  var<int> delivered{0};  // under lock_
  model::sync::atomic<int> number_closed{0};

 private:
  static constexpr int closing_bit = 1 << 20;

  void push(waiter& w) {
    w.next = first_;
    w.linked = true;
    first_ = &w;
  }
  void remove(waiter& w) {
    waiter* before = nullptr;
    for (waiter* one = first_; one != &w; one = one->next) before = one;
    if (before == nullptr) {
      first_ = w.next.get();
    } else {
      before->next = w.next.get();
    }
    w.linked = false;
  }
  // Whom the caller wakes when it has released the lock.
  struct ready_list {
    waiter* at[2] = {};
    int size = 0;
  };
  ready_list take_waiting_locked() {
    ready_list ready;
    while (first_ != nullptr) {
      waiter& w = *first_.get();
      remove(w);
      int seen = pending;
      bool ours =
          !r_.claims || w.how.compare_exchange_strong(seen, signalled, memory_order::acq_rel);
      if (ours) ready.at[ready.size++] = &w;
    }
    return ready;
  }
  void put_ready(const ready_list& ready) {
    for (int i = 0; i < ready.size; ++i) {
      check(ready.at[i]->there, "it still waits");
      ready.at[i]->parked.unpark();
    }
  }

  const rules r_;
  model::lock lock_;
  var<int> tag_{0};
  var<waiter*> first_{nullptr};
  model::sync::atomic<int> users_{0};
  model::sync::atomic<int> events_{0};
};

struct world {
  explicit world(const rules& r) : d(r) { d.open(k); }
  kernel k;
  descriptor d;
  waiter waiters[2];
};

// One reads what another sends, both at any time.
model::program_body one_reader(const rules& r = {}) {
  return [=](model::program& p) {
    auto& w = p.make<world>(r);
    p.thread("reader", [&w] { check(w.d.read(w.k, w.waiters[0]) == result::ready, "reads"); });
    p.thread("sender", [&w] {
      w.k.send(1);
      int tag = 0;
      if (w.k.take_edge(tag)) w.d.deliver(tag);
    });
    p.finally([&w] { check(w.d.at_rest(), "nobody is left in the list"); });
  };
}

// Two accept, two come with one edge; the one who gets one goes away with it.
model::program_body two_accept(const rules& r = {}) {
  return [=](model::program& p) {
    auto& w = p.make<world>(r);
    for (int i = 0; i < 2; ++i) {
      p.thread("accepts",
               [&w, i] { check(w.d.read(w.k, w.waiters[i]) == result::ready, "accepted"); });
    }
    p.thread("poller", [&w] {
      w.k.send(2);
      int tag = 0;
      if (w.k.take_edge(tag)) w.d.deliver(tag);
    });
    p.finally([&w] { check(w.d.at_rest(), "nobody is left in the list"); });
  };
}

// An event, close and a reader; who reads after close is refused, and the number is closed when nobody uses it.
model::program_body reader_and_close(bool with_event, std::int64_t deadline, const rules& r = {}) {
  return [=](model::program& p) {
    auto& w = p.make<world>(r);
    p.thread("reader", [&w, deadline] {
      while (w.d.read(w.k, w.waiters[0], deadline) == result::ready) {
      }
    });
    p.thread("closer", [&w] { w.d.close(w.k); });
    if (with_event) {
      p.thread("poller", [&w] {
        w.k.send(1);
        int tag = 0;
        if (w.k.take_edge(tag)) w.d.deliver(tag);
      });
    }
    p.finally([&w] {
      check(w.d.at_rest(), "nobody is left in the list");
      check(w.d.open_for_use() || w.d.number_closed.load() != 0, "the number is closed at last");
    });
  };
}

// One waits until a deadline; bytes come, or do not.
model::program_body deadline_and_event(bool with_event, const rules& r = {}) {
  return [=](model::program& p) {
    auto& w = p.make<world>(r);
    p.thread("impatient", [&w] {
      result how = w.d.read(w.k, w.waiters[0], 1);
      check(how != result::closed, "reads or is late");
    });
    if (with_event) {
      p.thread("poller", [&w] {
        w.k.send(1);
        int tag = 0;
        if (w.k.take_edge(tag)) w.d.deliver(tag);
      });
    }
    p.finally([&w] { check(w.d.at_rest(), "nobody is left in the list"); });
  };
}

// An event is read, the descriptor closed, its memory used for another, and only then the event delivered.
model::program_body used_anew(const rules& r = {}) {
  return [=](model::program& p) {
    auto& w = p.make<world>(r);
    auto& other = p.make<kernel>();
    auto& reopened = p.make<model::sync::atomic<int>>(0);
    w.k.send(1);
    p.thread("slow poller", [&w] {
      int tag = 0;
      if (w.k.take_edge(tag)) w.d.deliver(tag);
    });
    p.thread("owner", [&w, &other, &reopened] {
      w.d.close(w.k);
      int before = w.d.delivered;
      w.d.open(other);
      reopened.store(before + 1, memory_order::release);
    });
    p.finally([&w, &reopened] {
      check(w.d.delivered + 1 == reopened.load(),
            "an old event wakes nobody of the new descriptor");
    });
  };
}

TEST(descriptor_model, loses_no_event) { EXPECT_TRUE(proves(one_reader())); }
TEST(descriptor_model, loses_no_connection_to_one_of_two_who_accept) {
  EXPECT_TRUE(proves({.max_preemptions = 3}, two_accept()));
}
TEST(descriptor_model, wakes_everybody_when_it_is_closed) {
  EXPECT_TRUE(proves(reader_and_close(false, platform::time_never)));
  EXPECT_TRUE(proves({.max_preemptions = 3}, reader_and_close(true, platform::time_never)));
  EXPECT_TRUE(proves({.max_preemptions = 3}, reader_and_close(true, 1)));
}
TEST(descriptor_model, agrees_with_the_clock_on_who_was_in_time) {
  EXPECT_TRUE(proves(deadline_and_event(true)));
  EXPECT_TRUE(proves(deadline_and_event(false)));
}
TEST(descriptor_model, hears_no_event_of_an_earlier_use_of_its_memory) {
  EXPECT_TRUE(proves(used_anew()));
}

// --- what the model would find ---

TEST(descriptor_model, would_fail_if_a_try_cleared_a_flag_that_others_need) {
  EXPECT_TRUE(finds("for ever", {.max_preemptions = 3}, two_accept({.counts_events = false})));
}
TEST(descriptor_model, would_fail_if_the_count_were_read_after_the_try) {
  EXPECT_TRUE(finds("for ever", one_reader({.reads_count_first = false})));
}
TEST(descriptor_model, would_fail_if_closing_were_not_looked_at_under_the_lock) {
  EXPECT_TRUE(finds("for ever",
                    reader_and_close(false, platform::time_never, {.looks_at_closing = false})));
}
TEST(descriptor_model, would_fail_if_the_tag_stayed) {
  EXPECT_TRUE(finds("an old event", used_anew({.changes_tag = false})));
}
TEST(descriptor_model, would_fail_if_the_tag_were_not_looked_at) {
  EXPECT_TRUE(finds("an old event", used_anew({.checks_tag = false})));
}
TEST(descriptor_model, would_fail_if_who_times_out_stayed_in_the_list) {
  EXPECT_TRUE(finds("left in the list", deadline_and_event(false, {.unlinks = false})));
}
TEST(descriptor_model, would_fail_if_wakers_did_not_claim) {
  EXPECT_TRUE(finds("", deadline_and_event(true, {.claims = false})));
}

}  // namespace
}  // namespace runnel::descriptor_model
