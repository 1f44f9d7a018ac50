#pragma once
// Deferred calls: at the end of a scope, or, with Go's whole semantics, at the end of a func.

#include <concepts>
#include <functional>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "runnel/detail/defer_stack.h"
#include "runnel/detail/throw_witness.h"
#include "runnel/panic.h"

namespace runnel {

// A scope guard: calls f(args...) when its scope ends, in whichever way; the last guard first. The function and its
// arguments are copied now, what a lambda captures by reference is seen as it is then. A null f panics when it is
// called: "invalid memory address or nil pointer dereference". Costs what a destructor costs.
//
// A call that panics at the end of a scope panics there. While the scope is being left by a panic already, that is fatal:
// C++ cannot exchange one for the other. func can. The report shows both, if a func or run() is around.
template <class F, class... Args>
class [[nodiscard]] defer {
 public:
  template <class G, class... As>
  explicit defer(G&& f, As&&... args) : f_(std::forward<G>(f)), args_(std::forward<As>(args)...) {}
  defer(const defer&) = delete;
  defer& operator=(const defer&) = delete;
  ~defer() noexcept(false) {
    if constexpr (std::is_pointer_v<F> || std::is_member_pointer_v<F> ||
                  requires(F& f) { f == nullptr; }) {
      if (f_ == nullptr) detail::panic_nil_call();
    }
    std::apply([&](Args&... args) { std::invoke(f_, args...); }, args_);
  }

 private:
  [[no_unique_address]] F f_;
  [[no_unique_address]] std::tuple<Args...> args_;
};

template <class F, class... Args>
defer(F&&, Args&&...) -> defer<std::decay_t<F>, std::decay_t<Args>...>;

// The body of a Go function: calls body, then, last first, what it has deferred, whether body has returned or panicked;
// then returns the result, or goes on panicking unless a deferred call has recovered.
//
//   auto safe_divide = [](int a, int b) {
//     return runnel::func<int>([&](runnel::defer_stack& defer, int& result) {
//       defer([&] { if (runnel::recover()) result = 0; });
//       if (b == 0) runnel::panic("division by zero");
//       return a / b;
//     });
//   };
//
// body takes (defer_stack& defer) and returns R, or takes (defer_stack& defer, R& result) and returns R, which is stored
// in result, or nothing. Deferred calls may read and change result, which is what func returns. Of a body that has
// panicked and been recovered, and has no result, R() is returned. A panic in a deferred call takes over from the one
// before; the others are still called. goexit runs them all. The body's own variables are gone when deferred calls run:
// what these refer to has to live outside of body.
template <class R = void, class Body>
R func(Body&& body) {
  if constexpr (std::is_void_v<R>) {
    defer_stack defer;
    try {
      std::invoke(std::forward<Body>(body), defer);
    } catch (detail::throw_witness&) {
      __builtin_unreachable();
    } catch (...) {
      defer.run_deferred_panicking();
      return;
    }
    defer.run_deferred();
  } else if constexpr (std::is_invocable_v<Body, defer_stack&, R&>) {
    R result{};
    {
      defer_stack defer;
      bool returned = false;
      try {
        if constexpr (std::is_void_v<std::invoke_result_t<Body, defer_stack&, R&>>) {
          std::invoke(std::forward<Body>(body), defer, result);
        } else {
          result = std::invoke(std::forward<Body>(body), defer, result);
        }
        returned = true;
      } catch (detail::throw_witness&) {
        __builtin_unreachable();
      } catch (...) {
        defer.run_deferred_panicking();
      }
      if (returned) defer.run_deferred();
    }
    return result;
  } else {
    std::optional<R> result;
    {
      defer_stack defer;
      try {
        result.emplace(std::invoke(std::forward<Body>(body), defer));
      } catch (detail::throw_witness&) {
        __builtin_unreachable();
      } catch (...) {
        defer.run_deferred_panicking();
      }
      if (result) defer.run_deferred();
    }
    if (!result) {
      if constexpr (std::default_initializable<R>) return R();
      throw runtime_error("func recovered without a result, and its type has no default");
    }
    return std::move(*result);
  }
}

}  // namespace runnel
