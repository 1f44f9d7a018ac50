#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "runnel/detail/wait_list.h"

namespace runnel {

// Does something exactly once (sync.Once). Any thread.
//
//   state     call(f)
//   new       calls f and returns; an exception leaves call
//   running   waits until f has ended
//   done      returns at once
//
// A call that throws, or ends by goexit, counts as done: later callers return as if all were well. f's end
// happens before the return of every call(f). Calling the same once from within f deadlocks, as in Go. It may be
// destroyed when a call has returned and no other is under way.
class once {
 public:
  constexpr once() = default;
  once(const once&) = delete;
  once& operator=(const once&) = delete;

  template <class F>
  void call(F&& f) {
    if (state_.load(std::memory_order_acquire) == done) [[likely]]
      return;
    if (!begin()) return;
    struct finish {
      once* o;
      ~finish() { o->end(); }
    } on_exit{this};
    std::invoke(std::forward<F>(f));
  }

 private:
  friend struct once_internals;

  // Explained in sync/once.cpp.
  enum bits : std::uint32_t { fresh = 0, running = 1, done = 2, guard = 4, waiters = 8 };

  bool begin() noexcept;
  void end() noexcept;

  std::atomic<std::uint32_t> state_{fresh};
  detail::wait_list waiting_;
};

namespace detail {

// What stays of an exception for those who call later: goexit's own belongs to the one who called it.
std::exception_ptr once_error(std::exception_ptr thrown);

struct once_nothing {};

// What the copies of one once_func or once_value share.
template <class F, class T>
class once_call {
 public:
  template <class G>
  explicit once_call(std::in_place_t, G&& f) : f_(std::in_place, std::forward<G>(f)) {}

  const T& get() {
    once_.call([this] { call(); });
    if (error_) [[unlikely]]
      std::rethrow_exception(error_);
    return *value_;
  }

 private:
  void call() {
    struct drop {
      std::optional<F>& f;
      ~drop() { f.reset(); }
    } on_exit{f_};
    try {
      if constexpr (std::is_same_v<T, once_nothing>) {
        std::invoke(std::move(*f_));
        value_.emplace();
      } else {
        value_.emplace(std::invoke(std::move(*f_)));
      }
    } catch (...) {
      error_ = once_error(std::current_exception());
      throw;
    }
  }

  once once_;
  std::optional<F> f_;
  std::optional<T> value_;
  std::exception_ptr error_;
};

}  // namespace detail

// Returns a function that calls f once, however often it and its copies are called (sync.OnceFunc). Any thread.
// Callers wait until f has ended. If f throws, every call throws the same exception object; if f calls goexit,
// later calls panic. f is moved in, and destroyed after its call. Throws what copying f throws.
template <class F>
  requires std::is_invocable_v<std::decay_t<F>>
auto once_func(F&& f) {
  using shared = detail::once_call<std::decay_t<F>, detail::once_nothing>;
  return [all = std::make_shared<shared>(std::in_place, std::forward<F>(f))] { all->get(); };
}

// The same for a function with a result (sync.OnceValue). Each call returns a const reference to the one result,
// which lives as long as the function or a copy of it.
template <class F>
  requires(!std::is_void_v<std::invoke_result_t<std::decay_t<F>>>)
auto once_value(F&& f) {
  using result = std::remove_cvref_t<std::invoke_result_t<std::decay_t<F>>>;
  using shared = detail::once_call<std::decay_t<F>, result>;
  return [all = std::make_shared<shared>(std::in_place, std::forward<F>(f))]() -> const result& {
    return all->get();
  };
}

}  // namespace runnel
