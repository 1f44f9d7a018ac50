#include "lang/cancel_node.h"

#include <memory>
#include <new>
#include <system_error>
#include <utility>

#include "sched/switch.h"

namespace runnel::detail {

context_node::context_node(context_node* parent, cancel_node* scope) noexcept
    : parent_(parent), scope_(scope) {
  if (parent_ != nullptr) parent_->retain();
}

bool context_node::try_retain() noexcept {
  std::uint32_t n = strong_.load(std::memory_order_relaxed);
  while (n != 0) {
    if (strong_.compare_exchange_weak(n, n + 1, std::memory_order_acquire,
                                      std::memory_order_relaxed)) {
      return true;
    }
  }
  return false;
}

void context_node::release_last() noexcept {
  // A loop, not a recursion: chains of contexts may be long.
  context_node* ending = this;
  while (ending != nullptr) {
    ending->dispose();
    context_node* up = ending->parent_;
    ending->release_weak();
    if (up == nullptr || up->strong_.fetch_sub(1, std::memory_order_acq_rel) != 1) break;
    ending = up;
  }
}

// Requests a stop of its source.
class cancel_node::stop_relay final : public cancel_child {
 public:
  explicit stop_relay(std::stop_source s) noexcept : source(std::move(s)) {}
  void cancelled() noexcept override { source.request_stop(); }
  void unkeep() noexcept override { delete this; }

 private:
  std::stop_source source;
};

// Closes the done channel of a context that has gone before it.
class cancel_node::closer final : public cancel_child {
 public:
  explicit closer(chan<unit> ch) noexcept : ch_(std::move(ch)) {}
  void cancelled() noexcept override { ch_.close(); }
  void unkeep() noexcept override { delete this; }

 private:
  chan<unit> ch_;
};

// What a cancellation has yet to tell, linked by next_told.
struct cancel_node::told {
  cancel_child* nodes = nullptr;  // the last one first
  cancel_child* others = nullptr;
  cancel_child** last_other = &others;

  void add(cancel_child& child) noexcept {
    if (child.as_node() != nullptr) {
      child.next_told = nodes;
      nodes = &child;
    } else {
      child.next_told = nullptr;
      *last_other = &child;
      last_other = &child.next_told;
    }
  }
};

cancel_node::~cancel_node() = default;

cancel_node::cancel_node(context_node* parent, std::int64_t deadline) noexcept
    : context_node(parent, this),
      deadline_([&] {
        cancel_node* above = parent != nullptr ? parent->scope() : nullptr;
        return above != nullptr && above->deadline_ < deadline ? above->deadline_ : deadline;
      }()),
      above_(parent != nullptr ? parent->scope() : nullptr) {}

void cancel_node::begin() {
  if (above_ != nullptr && !above_->link(*this)) {
    context_errc e = above_->err();
    cancel(e, above_->cause());
    return;
  }
  // A stop token may have been faster than the parent.
  if (err_.load(std::memory_order_acquire) != context_errc{}) {
    leave_parent();
    return;
  }
  if (deadline_ == no_deadline || (above_ != nullptr && above_->deadline_ == deadline_)) return;
  if (deadline_ <= now_nanoseconds()) {
    cancel(context_errc::deadline_exceeded, nullptr);
    return;
  }
  // Weak: the timer keeps the context only if somebody could see it cancelled (see observed_locked).
  struct weak_reference {
    cancel_node* node;
    explicit weak_reference(cancel_node* n) noexcept : node(n) { node->retain_weak(); }
    weak_reference(weak_reference&& other) noexcept : node(std::exchange(other.node, nullptr)) {}
    ~weak_reference() {
      if (node != nullptr) node->release_weak();
    }
  };
  func_timer* timer = func_timer_start(deadline_, [weak = weak_reference(this)] {
    if (!weak.node->try_retain()) return;
    weak.node->cancel(context_errc::deadline_exceeded, nullptr);
    weak.node->release();
  });
  lock_.acquire();
  bool still_open = err_.load(std::memory_order_relaxed) == context_errc{};
  if (still_open) {
    std::swap(timer_, timer);
    if (children_ != nullptr || done_made_.load(std::memory_order_relaxed) != nullptr) {
      observed_locked();
    }
  }
  lock_.release();
  if (timer != nullptr) end_timer(timer);
}

// A function, a stop token or the done channel has been given away: the timer, if there is one, keeps us for it.
void cancel_node::observed_locked() noexcept {
  if (timer_ == nullptr || kept_by_timer_) return;
  kept_by_timer_ = true;
  retain();
}

bool cancel_node::link(cancel_child& child) noexcept {
  lock_.acquire();
  bool possible = err_.load(std::memory_order_relaxed) == context_errc{};
  if (possible) {
    child.parent = this;
    child.prev = nullptr;
    child.next = children_;
    if (children_ != nullptr) children_->prev = &child;
    children_ = &child;
    if (child.as_node() == nullptr) observed_locked();
  }
  lock_.release();
  return possible;
}

void cancel_node::unlink_locked(cancel_child& child) noexcept {
  (child.prev != nullptr ? child.prev->next : children_) = child.next;
  if (child.next != nullptr) child.next->prev = child.prev;
  child.parent = nullptr;
}

bool cancel_node::unlink(cancel_child& child) noexcept {
  lock_.acquire();
  bool linked = child.parent == this;
  if (linked) unlink_locked(child);
  lock_.release();
  return linked;
}

void cancel_node::leave_parent() noexcept {
  if (above_ != nullptr) above_->unlink(*this);
}

void cancel_node::end_timer(func_timer* timer) noexcept {
  func_timer_set(timer, no_deadline);
  func_timer_release(timer);
}

// The first step for one node. False: it has its error already.
bool cancel_node::set_error(context_errc err, const std::exception_ptr& cause, told& to) noexcept {
  lock_.acquire();
  if (err_.load(std::memory_order_relaxed) != context_errc{}) {
    lock_.release();
    return false;
  }
  cause_ = cause;
  err_.store(err, std::memory_order_release);
  for (cancel_child* child = children_; child != nullptr;) {
    cancel_child* following = child->next;
    if (child->keep()) {
      unlink_locked(*child);
      to.add(*child);
    }
    child = following;
  }
  lock_.release();
  return true;
}

// The second.
void cancel_node::finish() noexcept {
  lock_.acquire();
  finishing_ = true;
  channel* done = done_made_.load(std::memory_order_relaxed);
  func_timer* timer = std::exchange(timer_, nullptr);
  bool kept = std::exchange(kept_by_timer_, false);
  lock_.release();
  if (done != nullptr) chan_close(done);
  finished_.store(true, std::memory_order_release);
  leave_parent();
  if (timer != nullptr) end_timer(timer);
  if (kept) release();  // not the last: whoever cancels keeps us
}

// Steps one and two, which others may wait for: not interrupted by the end of the run, since the runtime's zone is not left.
// False: somebody else has cancelled this.
bool cancel_node::cancel_inside(context_errc err, const std::exception_ptr& cause, told& all,
                                cancel_child*& ours, cancel_child*& others) noexcept {
  if (!set_error(err, cause, all)) return false;
  // Nodes are put in front, so that those below come before those above; each is asked for its children once.
  while (all.nodes != nullptr) {
    cancel_child* child = all.nodes;
    all.nodes = child->next_told;
    cancel_child*& list = child->as_node()->set_error(err, cause, all) ? ours : others;
    child->next_told = list;
    list = child;
  }
  for (cancel_child* child = ours; child != nullptr; child = child->next_told) {
    child->as_node()->finish();
  }
  finish();
  return true;
}

void cancel_node::cancel(context_errc err, const std::exception_ptr& cause) noexcept {
  told all;
  cancel_child* ours = nullptr;
  cancel_child* others = nullptr;  // cancelled by somebody else
  sched::m* self = sched::enter();
  bool first;
  {
    sched::pin inside(self);
    first = cancel_inside(err, cause, all, ours, others);
  }
  if (self != nullptr) sched::leave(self);
  if (!first) wait_finished();
  while (others != nullptr) {
    cancel_child* child = others;
    others = child->next_told;
    child->as_node()->wait_finished();
    child->unkeep();
  }
  while (ours != nullptr) {
    cancel_child* child = ours;
    ours = child->next_told;
    child->unkeep();
  }
  while (all.others != nullptr) {
    cancel_child* child = all.others;
    all.others = child->next_told;
    child->cancelled();
    child->unkeep();
  }
}

void cancel_node::wait_finished() noexcept {
  if (finished_.load(std::memory_order_acquire)) return;
  unit nothing;
  chan<unit> closing = done();
  (void)chan_recv(closing.core(), &nothing, no_deadline);
}

context_errc cancel_node::err() noexcept {
  context_errc e = err_.load(std::memory_order_acquire);
  if (e != context_errc{}) wait_finished();
  return e;
}

chan<unit> cancel_node::done() {
  if (done_made_.load(std::memory_order_acquire) != nullptr) return done_;
  chan<unit> fresh = make_chan<unit>();
  bool closed = false;
  for (;;) {
    lock_.acquire();
    if (done_made_.load(std::memory_order_relaxed) != nullptr) break;
    if (!finishing_ || closed) {
      std::swap(done_, fresh);
      observed_locked();
      done_made_.store(done_.core(), std::memory_order_release);
      break;
    }
    lock_.release();
    fresh.close();
    closed = true;
  }
  lock_.release();
  return done_;
}

std::exception_ptr cancel_node::cause() {
  context_errc e = err();
  if (e == context_errc{}) return nullptr;
  // Written before err, and never after.
  return cause_ != nullptr ? cause_ : std::make_exception_ptr(std::system_error(e));
}

std::stop_token cancel_node::stop_token() {
  std::stop_source source;
  auto relay = std::make_unique<stop_relay>(source);
  lock_.acquire();
  bool first = !stop_.has_value();
  if (first) stop_ = source;
  std::stop_token token = stop_->get_token();
  lock_.release();
  if (!first) return token;
  if (!link(*relay)) {
    source.request_stop();
    return token;
  }
  relay.release();  // NOLINT(bugprone-unused-return-value): the list's now
  return token;
}

void cancel_node::dispose() noexcept {
  leave_parent();
  if (func_timer* timer = std::exchange(timer_, nullptr)) end_timer(timer);
  if (done_made_.load(std::memory_order_relaxed) != nullptr &&
      !finished_.load(std::memory_order_relaxed) && chan_shared(done_.core())) {
    auto* closes = new (std::nothrow) closer(done_);
    if (closes != nullptr && !link(*closes)) closes->unkeep();
  }
  // Contexts below keep us, so what is left are functions, channels and tokens that others may still have.
  for (;;) {
    lock_.acquire();
    cancel_child* child = children_;
    if (child != nullptr) unlink_locked(*child);
    lock_.release();
    if (child == nullptr) break;
    if (above_ != nullptr) {
      if (above_->link(*child)) continue;
      child->cancelled();
    }
    child->unkeep();
  }
  stop_.reset();
  done_ = {};
  cause_ = nullptr;
}

}  // namespace runnel::detail
