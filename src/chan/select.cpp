// Select: one of several channel operations, whichever is possible first.
//
//   1. Without locks: a case that looks ready, uniformly at random among those that do, is tried under its
//      channel's lock alone. Done in most cases.
//   2. With all the channels locked, in the order of their addresses: try again; nothing ready is then a fact.
//   3. Still with all locks: queue up at every channel, and wait. Off the stack, the locks are released.
//   4. Who serves one of the cases claims the waiter by one compare-and-swap, says which case it was (waiter.won),
//      and wakes it. The loser of the race finds the claim taken and drops the node.
//   5. Afterwards the waiter removes its other nodes, each under its own channel's lock.
//
// Invariants
//   a node is queued      =>  its channel's lock protects its links, and the select has not returned
//   the claim is taken    =>  no other case moves an element, and no timer fires
//   the locks are being released by the post-switch action  =>  the select cannot have returned: step 5 needs
//                             every lock but the winner's, so what the action reads on our stack is there
// Pairing: the claim's acquire-release exchange and the wake-up, with step 5.

#include <algorithm>

#include "base/random.h"
#include "chan/channel.h"
#include "chan/timer_channel.h"
#include "platform/clock.h"
#include "runnel/panic.h"

namespace runnel::detail {
namespace {

// Of one call. The cases, and the random numbers with which they are chosen.
struct selection {
  select_case* cases;
  std::size_t n;
  sched::m* self;

  select_case& by_order(std::size_t i) const noexcept { return cases[cases[i].order]; }
};

bool looks_ready(const select_case& c) noexcept {
  if (c.ch == nullptr) return false;
  return c.sends ? !c.ch->send_would_wait() : !c.ch->recv_would_wait();
}

std::uint32_t random_below(const selection& s, std::uint32_t n) noexcept {
  if (s.self != nullptr) return s.self->rng.below(n);
  // A plain thread has no generator of its own: the clock's low bits, mixed.
  return base::random(static_cast<std::uint64_t>(platform::nanotime()) + n).below(n);
}

// Uniform among the cases that look ready, in one pass: the k-th replaces the choice with probability 1/k.
std::size_t choose(const selection& s) noexcept {
  std::size_t chosen = s.n;
  std::uint32_t ready = 0;
  for (std::size_t i = 0; i < s.n; ++i) {
    if (s.cases[i].refused || !looks_ready(s.cases[i])) continue;
    ++ready;
    if (ready == 1 || random_below(s, ready) == 0) chosen = i;
  }
  return chosen;
}

// Tries case c, whose channel is locked.
chan_status try_locked(const selection& s, select_case& c, chan_node*& partner) {
  chan_status status = c.sends ? c.ch->try_send_locked(s.self, c.element, partner)
                               : c.ch->try_recv_locked(s.self, c.element, partner);
  c.received = !c.sends && status == chan_status::done;
  // Not twice: what a timer has to give may be another receiver's.
  c.refused = status == chan_status::not_ready;
  return status;
}

// Leaves no lock behind when a move throws.
class locked_one {
 public:
  locked_one(sched::m* self, channel& c) noexcept : self_(self), c_(c) { crowd = c_.lock(self_); }
  ~locked_one() {
    c_.unlock();
    wake_partner(self_, partner);
  }
  locked_one(const locked_one&) = delete;
  locked_one& operator=(const locked_one&) = delete;

  sched::p* crowd = nullptr;
  chan_node* partner = nullptr;

 private:
  sched::m* self_;
  channel& c_;
};

void sort_by_address(const selection& s) noexcept {
  for (std::size_t i = 0; i < s.n; ++i) s.cases[i].order = static_cast<std::uint32_t>(i);
  auto before = [&](std::uint32_t a, std::uint32_t b) {
    return std::less<>{}(s.cases[a].ch, s.cases[b].ch);
  };
  constexpr std::size_t few = 16;
  if (s.n <= few) {
    for (std::size_t i = 1; i < s.n; ++i) {
      std::uint32_t moving = s.cases[i].order;
      std::size_t at = i;
      for (; at > 0 && before(moving, s.cases[at - 1].order); --at) {
        s.cases[at].order = s.cases[at - 1].order;
      }
      s.cases[at].order = moving;
    }
    return;
  }
  // A heap, over a field of the array's elements.
  auto sift = [&](std::size_t root, std::size_t end) {
    std::uint32_t moving = s.cases[root].order;
    for (std::size_t child; (child = 2 * root + 1) < end; root = child) {
      if (child + 1 < end && before(s.cases[child].order, s.cases[child + 1].order)) ++child;
      if (!before(moving, s.cases[child].order)) break;
      s.cases[root].order = s.cases[child].order;
    }
    s.cases[root].order = moving;
  };
  for (std::size_t i = s.n / 2; i-- > 0;) sift(i, s.n);
  for (std::size_t end = s.n; --end > 0;) {
    std::swap(s.cases[0].order, s.cases[end].order);
    sift(0, end);
  }
}

// Cases of one channel queue up in random order: its partner takes the first.
void shuffle_equals(const selection& s) noexcept {
  for (std::size_t first = 0, end; first < s.n; first = end) {
    for (end = first + 1; end < s.n && s.by_order(end).ch == s.by_order(first).ch;) ++end;
    for (std::size_t left = end - first; left > 1; --left) {
      std::swap(s.cases[first + left - 1].order,
                s.cases[first + random_below(s, static_cast<std::uint32_t>(left))].order);
    }
  }
}

// Of several cases of one channel, which stand side by side, the first one's turn. Nil ones have none.
bool first_of_channel(const selection& s, std::size_t i) noexcept {
  channel* ch = s.by_order(i).ch;
  return ch != nullptr && (i == 0 || s.by_order(i - 1).ch != ch);
}

void lock_all(const selection& s) noexcept {
  for (std::size_t i = 0; i < s.n; ++i) {
    if (first_of_channel(s, i)) s.by_order(i).ch->lock(s.self);
  }
}

// From the last: what is read after an unlock belongs to a channel that is locked yet. Nil ones stand first.
void unlock_all(const selection& s) noexcept {
  std::size_t nils = 0;
  while (nils < s.n && s.by_order(nils).ch == nullptr) ++nils;
  for (std::size_t i = s.n; i-- > nils;) {
    if (first_of_channel(s, i)) s.by_order(i).ch->unlock();
  }
}

void unlock_all_of(void* raw) noexcept {
  // A copy: with the last unlock the original may go. Without `self`, which who was woken by the timer writes at once.
  selection s{static_cast<selection*>(raw)->cases, static_cast<selection*>(raw)->n, nullptr};
  unlock_all(s);
}

class locked_all {
 public:
  explicit locked_all(const selection& s) noexcept : s_(s) { lock_all(s_); }
  ~locked_all() {
    if (locked_) unlock_all(s_);
    wake_partner(s_.self, partner);
  }
  locked_all(const locked_all&) = delete;
  locked_all& operator=(const locked_all&) = delete;

  void left_to_whoever_runs_next() noexcept { locked_ = false; }

  chan_node* partner = nullptr;

 private:
  const selection& s_;
  bool locked_ = true;
};

struct answer {
  std::size_t taken;  // s.n: none
  bool sent_on_closed = false;
  sched::p* crowd = nullptr;  // where it would be better to run
};

answer answer_of(const selection& s, std::size_t i, chan_status status) noexcept {
  return {i, s.cases[i].sends && status == chan_status::closed};
}

// Step 1.
answer try_without_waiting(const selection& s) {
  for (;;) {
    std::size_t i = choose(s);
    if (i == s.n) return {s.n};
    locked_one hold(s.self, *s.cases[i].ch);
    chan_status status = try_locked(s, s.cases[i], hold.partner);
    if (status != chan_status::not_ready) {
      answer now = answer_of(s, i, status);
      now.crowd = hold.crowd;
      return now;
    }
  }
}

// Steps 3 to 5; the locks are held, and released here. No answer: try anew.
std::size_t wait_for_one(selection& s, locked_all& hold, std::int64_t deadline,
                         bool& again) noexcept {
  wait::waiter me(s.self);
  shuffle_equals(s);
  for (std::size_t i = 0; i < s.n; ++i) {
    select_case& c = s.by_order(i);
    c.node = {.next = nullptr,
              .prev = nullptr,
              .who = &me,
              .element = c.element,
              .contested = true,
              .queued = false,
              .result = chan_node::outcome::waiting};
    if (c.ch == nullptr) continue;
    (c.sends ? c.ch->senders : c.ch->receivers).push_back(c.node);
    if (c.ch->timer() != nullptr) c.ch->timer()->begin_wait_locked(s.self);
  }
  hold.left_to_whoever_runs_next();
  // Without a lock, nothing keeps a timer that has been added from ending the wait: `s` may be gone by then.
  bool any = s.n != 0 && s.by_order(s.n - 1).ch != nullptr;
  wait::release unguard{any ? &unlock_all_of : [](void*) noexcept {}, &s};
  auto why = s.n == 0 ? sched::wait_reason::select_no_cases : sched::wait_reason::select;
  s.self = deadline == no_deadline ? wait::block(s.self, me, why, unguard)
                                   : wait::block_until(s.self, me, why, unguard, deadline);
  bool timed_out =
      deadline != no_deadline && me.how.load(std::memory_order_acquire) == wait::outcome::timed_out;
  std::size_t won = s.n;
  for (std::size_t i = 0; i < s.n; ++i) {
    select_case& c = s.cases[i];
    if (c.ch == nullptr) continue;
    if (!timed_out && me.won == &c.node) {
      won = i;
      continue;
    }
    c.ch->lock(s.self);
    (c.sends ? c.ch->senders : c.ch->receivers).remove(c.node);
    if (c.ch->timer() != nullptr) c.ch->timer()->end_wait_locked();
    c.ch->unlock();
  }
  again = won != s.n && s.cases[won].node.result == chan_node::outcome::retry;
  return won;
}

answer run_inside(selection& s, std::int64_t deadline) {
  for (;;) {
    for (std::size_t i = 0; i < s.n; ++i) s.cases[i].refused = false;
    answer now = try_without_waiting(s);
    if (now.taken != s.n) return now;
    // One channel that was seen not ready: no two looks that could contradict each other.
    if (deadline == no_wait && s.n < 2) return now;
    sort_by_address(s);
    bool again = false;
    std::size_t won;
    {
      locked_all hold(s);
      for (std::size_t i = 0; i < s.n; ++i) s.cases[i].refused = false;
      std::size_t i;
      while ((i = choose(s)) != s.n) {
        chan_status status = try_locked(s, s.cases[i], hold.partner);
        if (status != chan_status::not_ready) return answer_of(s, i, status);
      }
      if (deadline == no_wait) return {s.n};
      won = wait_for_one(s, hold, deadline, again);
    }
    if (again) continue;
    if (won == s.n) return {s.n};
    select_case& c = s.cases[won];
    c.received = !c.sends && c.node.result == chan_node::outcome::done;
    return {won, c.sends && c.node.result == chan_node::outcome::closed};
  }
}

}  // namespace

std::size_t select_run(select_case* cases, std::size_t n, std::int64_t deadline) {
  answer got;
  {
    selection s{cases, n, sched::enter()};
    struct leave {
      selection& s;
      ~leave() {
        if (s.self != nullptr) sched::leave(s.self);
      }
    } on_exit{s};
    got = run_inside(s, deadline);
    if (got.crowd != nullptr) s.self = sched::gather(s.self, *got.crowd);
  }
  if (got.sent_on_closed) throw runtime_error("send on closed channel");
  return got.taken;
}

}  // namespace runnel::detail
