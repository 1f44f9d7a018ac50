#include "lang/cancel_node.h"

#include <system_error>
#include <utility>

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

// Requests a stop of its source. It is a part of the node, and lives as long.
class cancel_node::stop_relay final : public cancel_child {
 public:
  std::stop_source source;

  bool keep() noexcept override { return true; }
  void cancelled(context_errc, const std::exception_ptr&) noexcept override {
    source.request_stop();
  }
  void unkeep() noexcept override {}
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
    cancel(above_->err(), above_->cause());
    return;
  }
  // A stop token may have been faster than the parent.
  if (err() != context_errc{}) {
    leave_parent();
    return;
  }
  if (deadline_ == no_deadline || (above_ != nullptr && above_->deadline_ == deadline_)) return;
  if (deadline_ <= now_nanoseconds()) {
    cancel(context_errc::deadline_exceeded, nullptr);
    return;
  }
  // Weak: the timer alone must not keep a context that nobody can see.
  struct weak_reference {
    cancel_node* node;
    explicit weak_reference(cancel_node* n) noexcept : node(n) { node->retain_weak(); }
    weak_reference(weak_reference&& other) noexcept : node(std::exchange(other.node, nullptr)) {}
    ~weak_reference() {
      if (node != nullptr) node->release_weak();
    }
  };
  timer_.store(func_timer_start(deadline_,
                                [weak = weak_reference(this)] {
                                  if (!weak.node->try_retain()) return;
                                  weak.node->cancel(context_errc::deadline_exceeded, nullptr);
                                  weak.node->release();
                                }),
               std::memory_order_release);
  // Cancelled in between, it would have found no timer to stop.
  if (err() != context_errc{}) stop_timer();
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

void cancel_node::stop_timer() noexcept {
  if (func_timer* t = timer_.exchange(nullptr, std::memory_order_acq_rel)) {
    func_timer_set(t, no_deadline);
    func_timer_release(t);
  }
}

void cancel_node::cancel(context_errc err, const std::exception_ptr& cause) noexcept {
  cancel_child* to_tell = nullptr;
  cancel_child** last = &to_tell;
  lock_.acquire();
  if (err_.load(std::memory_order_relaxed) != context_errc{}) {
    lock_.release();
    return;
  }
  cause_ = cause;
  err_.store(err, std::memory_order_release);
  channel* done = done_made_.load(std::memory_order_relaxed);
  for (cancel_child* child = children_; child != nullptr;) {
    cancel_child* following = child->next;
    if (child->keep()) {
      unlink_locked(*child);
      child->next_told = nullptr;
      *last = child;
      last = &child->next_told;
    }
    child = following;
  }
  lock_.release();
  if (done != nullptr) chan_close(done);
  while (to_tell != nullptr) {
    cancel_child* child = to_tell;
    to_tell = child->next_told;
    child->cancelled(err, cause);
    child->unkeep();
  }
  leave_parent();
  stop_timer();
}

chan<unit> cancel_node::done() {
  if (done_made_.load(std::memory_order_acquire) != nullptr) return done_;
  chan<unit> fresh = make_chan<unit>();
  bool closed = false;
  for (;;) {
    lock_.acquire();
    if (done_made_.load(std::memory_order_relaxed) != nullptr) break;
    if (err_.load(std::memory_order_relaxed) == context_errc{} || closed) {
      std::swap(done_, fresh);
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
  auto fresh = std::make_unique<stop_relay>();
  stop_relay* relay;
  lock_.acquire();
  bool first = relay_ == nullptr;
  if (first) relay_ = std::move(fresh);
  relay = relay_.get();
  lock_.release();
  if (first && !link(*relay)) relay->source.request_stop();
  return relay->source.get_token();
}

void cancel_node::dispose() noexcept {
  stop_timer();
  leave_parent();
  // Contexts below keep us, so what is left are relays and functions that will never be called.
  for (;;) {
    lock_.acquire();
    cancel_child* child = children_;
    if (child != nullptr) unlink_locked(*child);
    lock_.release();
    if (child == nullptr) break;
    child->unkeep();
  }
  relay_.reset();
  done_ = {};
  cause_ = nullptr;
}

}  // namespace runnel::detail
