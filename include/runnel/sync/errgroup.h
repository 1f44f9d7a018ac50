#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>

#include "runnel/chan.h"
#include "runnel/context.h"
#include "runnel/sync/mutex.h"
#include "runnel/sync/wait_group.h"

namespace runnel {

// Goroutines that work on parts of one task (golang.org/x/sync/errgroup). Any thread.
//
//   runnel::context ctx;
//   runnel::errgroup group(parent, ctx);
//   for (auto& url : urls) group.go([&] { return fetch(ctx, url); });
//   if (std::error_code e = group.wait()) …
//
// A part fails by an exception, a panic included, or by returning a std::error_code that is not zero. The first failure
// cancels the group's context, with the failure as its cause, and is what wait() reports; later ones are dropped.
// The return of a part happens before the return of wait(). May be used again after wait() if it has no context. Must
// outlive its goroutines: wait() before it is destroyed.
class errgroup {
 public:
  // No context; no limit.
  errgroup() = default;
  // `derived` becomes a child of `parent` that is cancelled at the first failure, or when wait() returns.
  errgroup(const context& parent, context& derived);
  errgroup(const errgroup&) = delete;
  errgroup& operator=(const errgroup&) = delete;

  // At most n goroutines at a time; negative: no limit; 0: none can be started. Panics while some are active:
  // "errgroup: modify limit while goroutines in the group are still active".
  void set_limit(int n);

  // Calls f on a goroutine of its own; waits until the limit allows it.
  template <class F>
  [[gnu::noinline]] void go(F&& f) {
    take_place();
    start(as_part(std::forward<F>(f)), __builtin_return_address(0));
  }

  // The same only if the limit allows it now. False: it does not, and f was not called.
  template <class F>
  [[gnu::noinline]] bool try_go(F&& f) {
    if (!try_take_place()) return false;
    start(as_part(std::forward<F>(f)), __builtin_return_address(0));
    return true;
  }

  // Waits until all have ended. Rethrows the first failure if it was an exception, else returns it; no error: none
  // failed.
  std::error_code wait();

 private:
  using part = std::move_only_function<std::error_code()>;

  template <class F>
  static part as_part(F&& f) {
    using result = std::invoke_result_t<std::decay_t<F>&>;
    static_assert(std::is_void_v<result> || std::convertible_to<result, std::error_code>,
                  "a part of an errgroup returns void or std::error_code");
    if constexpr (std::is_void_v<result>) {
      return [f = std::forward<F>(f)]() mutable {
        f();
        return std::error_code();
      };
    } else {
      return [f = std::forward<F>(f)]() mutable { return std::error_code(f()); };
    }
  }

  void take_place();
  bool try_take_place();
  void give_place() noexcept;
  void start(part p, void* creator_pc);
  void run_part(part& p);
  void fail(std::error_code code, const std::exception_ptr& thrown) noexcept;

  wait_group running_;
  std::atomic<int> active_{0};
  chan<unit> places_;  // nil: no limit; a value for each that is active
  mutex mu_;
  bool failed_ = false;  // under mu_, as what follows
  std::error_code code_;
  std::exception_ptr thrown_;
  std::optional<cancel_cause_func> cancel_;
};

}  // namespace runnel
