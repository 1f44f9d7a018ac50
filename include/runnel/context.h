#pragma once
// Contexts: cancellation, deadlines and values that go with a request through all the goroutines that serve it.
//
//   auto [ctx, cancel] = runnel::with_timeout(parent, 2s);
//   …
//   runnel::select(runnel::recv(results, r), runnel::recv(ctx.done()));   // whichever is first
//   if (ctx.err()) return ctx.err();
//
// The semantics are those of Go's package context. Contexts form a tree: a child is cancelled with its parent, at the
// latest, and its deadline is never later. A child that has been cancelled leaves no trace in
// its parent, nor does one whose handles are gone, unless somebody may still see it cancelled: its timer, a function given
// to after_func, or who holds its done channel or stop token. All functions may be called by any thread at any time.

#include <chrono>
#include <concepts>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <stop_token>
#include <system_error>
#include <type_traits>
#include <utility>

#include "runnel/chan.h"
#include "runnel/detail/context_node.h"
#include "runnel/detail/duration.h"
#include "runnel/time.h"

namespace runnel {

// What err() answers: "context canceled" and "context deadline exceeded". They compare equal to
// std::errc::operation_canceled and std::errc::timed_out.
enum class context_errc { canceled = 1, deadline_exceeded };
const std::error_category& context_category() noexcept;
inline std::error_code make_error_code(context_errc e) noexcept {
  return {static_cast<int>(e), context_category()};
}

}  // namespace runnel

template <>
struct std::is_error_code_enum<runnel::context_errc> : std::true_type {};

namespace runnel {

// A handle, cheap to copy. Default constructed, it is the background: never cancelled, without deadline and values.
class context {
 public:
  context() noexcept = default;
  explicit context(detail::context_node* owned) noexcept : node_(owned) {}
  context(const context& other) noexcept : node_(other.node_) {
    if (node_ != nullptr) node_->retain();
  }
  context(context&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
  context& operator=(context other) noexcept {
    std::swap(node_, other.node_);
    return *this;
  }
  ~context() {
    if (node_ != nullptr) node_->release();
  }

  // Closed when the context is cancelled; every call gives the same channel. Nil if it never can be.
  recv_chan<unit> done() const;

  // No error until it is cancelled; then context_errc::canceled or deadline_exceeded, for good. What happened before
  // the cancellation is visible to who sees the error.
  std::error_code err() const noexcept;

  // Why it was cancelled: what was given to the cancel_cause_func of the context that was cancelled first, or else
  // err() as a std::system_error. Null until then.
  std::exception_ptr cause() const;

  // When it will be cancelled by itself.
  std::optional<time_point> deadline() const noexcept;

  // The value of the nearest context up the tree that was made with_value<Key>; nullptr: none. It lives as long as
  // this context.
  template <class Key>
  const typename Key::type* value() const noexcept {
    return static_cast<const typename Key::type*>(find(&detail::context_key_address<Key>));
  }

  // A token whose stop is requested when the context is cancelled, by whoever cancels it.
  std::stop_token stop_token() const;

  // The same context.
  friend bool operator==(const context& a, const context& b) noexcept { return a.node_ == b.node_; }

  detail::context_node* node() const noexcept { return node_; }

 private:
  const void* find(const void* key) const noexcept;

  detail::context_node* node_ = nullptr;
};

// Cancels a context with context_errc::canceled. May be called any number of times, from any thread, also after the
// context's other handles are gone; only the first call has an effect. Copies mean the same. A context with a deadline
// stays until then if it is not called; so do call it.
class cancel_func {
 public:
  cancel_func() noexcept = default;
  explicit cancel_func(context ctx) noexcept : ctx_(std::move(ctx)) {}
  void operator()() const noexcept;

 private:
  context ctx_;
};

// The same with a reason, for cause(): an exception, or none.
class cancel_cause_func {
 public:
  cancel_cause_func() noexcept = default;
  explicit cancel_cause_func(context ctx) noexcept : ctx_(std::move(ctx)) {}
  void operator()(const std::exception_ptr& cause = nullptr) const noexcept;
  template <class E>
    requires std::derived_from<std::decay_t<E>, std::exception>
  void operator()(E&& cause) const {
    (*this)(std::make_exception_ptr(std::forward<E>(cause)));
  }
  void operator()(std::error_code cause) const {
    (*this)(std::make_exception_ptr(std::system_error(cause)));
  }

 private:
  context ctx_;
};

template <class Cancel>
struct cancellable {
  context ctx;
  Cancel cancel;
};

// The root of all trees.
inline context background() noexcept { return {}; }

// A child that is cancelled when its cancel is called, or its parent cancelled. Throw std::bad_alloc.
cancellable<cancel_func> with_cancel(const context& parent);
cancellable<cancel_cause_func> with_cancel_cause(const context& parent);

// A child that is also cancelled at t, with context_errc::deadline_exceeded, and at once if that is past.
cancellable<cancel_func> with_deadline(const context& parent, time_point t);
template <class Rep, class Period>
cancellable<cancel_func> with_timeout(const context& parent, std::chrono::duration<Rep, Period> d) {
  return with_deadline(parent, time_point(std::chrono::duration_cast<duration>(
                                   std::chrono::nanoseconds(detail::timer_deadline(d)))));
}

// A child with a value. Key is any type with a member type `type`; it is the key.
template <class Key>
context with_value(const context& parent, typename Key::type v) {
  detail::context_node* up = parent.node();
  return context(
      new detail::value_node<Key>(up, up != nullptr ? up->scope() : nullptr, std::move(v)));
}

// The parent's values without its cancellation and deadline.
context without_cancel(const context& parent);

// A child that is also cancelled when a stop of the token is requested.
context with_stop_token(const context& parent, std::stop_token token);

// What after_func returns. Calling it keeps f from being called. True: f will not be called. False: its goroutine has
// been started, or it was stopped before. Dropping it does not stop f.
class stop_func {
 public:
  class registration;

  stop_func() noexcept = default;
  stop_func(context ctx, registration* owned) noexcept
      : ctx_(std::move(ctx)), registration_(owned) {}
  stop_func(const stop_func& other) noexcept;
  stop_func(stop_func&& other) noexcept
      : ctx_(std::move(other.ctx_)), registration_(std::exchange(other.registration_, nullptr)) {}
  stop_func& operator=(stop_func other) noexcept {
    std::swap(ctx_, other.ctx_);
    std::swap(registration_, other.registration_);
    return *this;
  }
  ~stop_func();
  bool operator()() const noexcept;

 private:
  context ctx_;
  registration* registration_ = nullptr;
};

// Calls f on a goroutine of its own when the context has been cancelled; at once if it has been already.
stop_func after_func(const context& ctx, std::move_only_function<void()> f);

}  // namespace runnel
