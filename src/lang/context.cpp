#include "runnel/context.h"

#include <string>

#include "lang/cancel_node.h"
#include "runnel/go.h"
#include "sched/switch.h"

namespace runnel {
namespace {

using detail::cancel_node;
using detail::context_node;

class category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "context"; }
  std::string message(int value) const override {
    switch (static_cast<context_errc>(value)) {
      case context_errc::canceled: return "context canceled";
      case context_errc::deadline_exceeded: return "context deadline exceeded";
    }
    return "context error " + std::to_string(value);
  }
  std::error_condition default_error_condition(int value) const noexcept override {
    switch (static_cast<context_errc>(value)) {
      case context_errc::canceled: return std::errc::operation_canceled;
      case context_errc::deadline_exceeded: return std::errc::timed_out;
    }
    return {value, *this};
  }
};

cancel_node* scope_of(const context& ctx) noexcept {
  return ctx.node() != nullptr ? ctx.node()->scope() : nullptr;
}

// A child that has joined the tree.
context begun(cancel_node* made) {
  context ctx(made);
  made->begin();
  return ctx;
}

// Cancels a context when a stop is requested.
class stop_token_node final : public cancel_node {
 public:
  stop_token_node(context_node* parent, std::stop_token token)
      : cancel_node(parent, detail::no_deadline),
        callback_(std::in_place, std::move(token), on_stop{this}) {}

 private:
  struct on_stop {
    stop_token_node* node;
    void operator()() const noexcept {
      if (!node->try_retain()) return;
      node->cancel(context_errc::canceled, nullptr);
      // Not released here by a goroutine: a callback's destructor waits for its call, and recognizes its own only by
      // the thread, which may have changed.
      context kept(node);
      if (sched::current_m() != nullptr) runnel::go([mine = std::move(kept)] {});
    }
  };

  void dispose() noexcept override {
    callback_.reset();
    cancel_node::dispose();
  }

  std::optional<std::stop_callback<on_stop>> callback_;
};

class without_cancel_node final : public context_node {
 public:
  explicit without_cancel_node(context_node* parent) noexcept : context_node(parent, nullptr) {}
};

}  // namespace

const std::error_category& context_category() noexcept {
  static const category instance;
  return instance;
}

recv_chan<unit> context::done() const {
  cancel_node* scope = scope_of(*this);
  return scope != nullptr ? recv_chan<unit>(scope->done()) : recv_chan<unit>();
}

std::error_code context::err() const noexcept {
  cancel_node* scope = scope_of(*this);
  context_errc e = scope != nullptr ? scope->err() : context_errc{};
  return e == context_errc{} ? std::error_code() : make_error_code(e);
}

std::exception_ptr context::cause() const {
  cancel_node* scope = scope_of(*this);
  return scope != nullptr ? scope->cause() : nullptr;
}

std::optional<time_point> context::deadline() const noexcept {
  cancel_node* scope = scope_of(*this);
  if (scope == nullptr || scope->deadline() == detail::no_deadline) return {};
  return time_point(
      std::chrono::duration_cast<duration>(std::chrono::nanoseconds(scope->deadline())));
}

std::stop_token context::stop_token() const {
  cancel_node* scope = scope_of(*this);
  return scope != nullptr ? scope->stop_token() : std::stop_token();
}

const void* context::find(const void* key) const noexcept {
  for (context_node* n = node_; n != nullptr; n = n->parent()) {
    if (const void* found = n->find(key)) return found;
  }
  return nullptr;
}

void cancel_func::operator()() const noexcept {
  if (cancel_node* scope = scope_of(ctx_)) scope->cancel(context_errc::canceled, nullptr);
}

void cancel_cause_func::operator()(const std::exception_ptr& cause) const noexcept {
  if (cancel_node* scope = scope_of(ctx_)) scope->cancel(context_errc::canceled, cause);
}

cancellable<cancel_func> with_cancel(const context& parent) {
  context ctx = begun(new cancel_node(parent.node(), detail::no_deadline));
  return {ctx, cancel_func(ctx)};
}

cancellable<cancel_cause_func> with_cancel_cause(const context& parent) {
  context ctx = begun(new cancel_node(parent.node(), detail::no_deadline));
  return {ctx, cancel_cause_func(ctx)};
}

cancellable<cancel_func> with_deadline(const context& parent, time_point t) {
  std::int64_t deadline = detail::to_nanoseconds(t.time_since_epoch());
  context ctx = begun(new cancel_node(parent.node(), deadline));
  return {ctx, cancel_func(ctx)};
}

context without_cancel(const context& parent) {
  return context(new without_cancel_node(parent.node()));
}

context with_stop_token(const context& parent, std::stop_token token) {
  return begun(new stop_token_node(parent.node(), std::move(token)));
}

// A function that waits for a cancellation. The context keeps it until then; so do the handles.
class stop_func::registration final : public detail::cancel_child {
 public:
  explicit registration(std::move_only_function<void()> f) : f_(std::move(f)) {}

  void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
  void start() {
    runnel::go([f = std::move(f_)]() mutable { f(); });
  }

  // The list's reference goes to whoever takes it out.
  void cancelled() noexcept override { start(); }
  void unkeep() noexcept override { release(); }
  // Of one that no context will ever tell: true the first time.
  bool stop_alone() noexcept { return !stopped_.exchange(true, std::memory_order_relaxed); }

 private:
  std::atomic<bool> stopped_{false};
  std::atomic<std::uint32_t> references_{2};  // the list's and the handle's
  std::move_only_function<void()> f_;
};

stop_func::stop_func(const stop_func& other) noexcept
    : ctx_(other.ctx_), registration_(other.registration_) {
  if (registration_ != nullptr) registration_->retain();
}

stop_func::~stop_func() {
  if (registration_ != nullptr) registration_->release();
}

bool stop_func::operator()() const noexcept {
  if (registration_ == nullptr) return false;
  cancel_node* scope = scope_of(ctx_);
  if (scope == nullptr) return registration_->stop_alone();
  if (!scope->unlink(*registration_)) return false;
  registration_->release();
  return true;
}

stop_func after_func(const context& ctx, std::move_only_function<void()> f) {
  auto* made = new stop_func::registration(std::move(f));
  stop_func result(ctx, made);
  cancel_node* scope = scope_of(ctx);
  if (scope == nullptr) {
    made->release();  // no list will ever have it
  } else if (!scope->link(*made)) {
    made->start();
    made->release();
  }
  return result;
}

}  // namespace runnel
