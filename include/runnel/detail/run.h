#pragma once
// What the templates of go.h call. Not for programs.

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "runnel/detail/panic_state.h"
#include "runnel/detail/throw_witness.h"

// Assembly: notes the caller's registers, for reports, and hands the P on.
extern "C" void runnel_begin_blocking() noexcept;

namespace runnel {

struct options;

namespace detail {

// Runs call(argument) as the main goroutine and returns when it has returned. The caller is a plain thread.
void run_main(const options& o, void (*call)(void*), void* argument);

void end_blocking() noexcept;

struct blocking_region {
  [[gnu::always_inline]] blocking_region() noexcept { runnel_begin_blocking(); }
  ~blocking_region() { end_blocking(); }
  blocking_region(const blocking_region&) = delete;
  blocking_region& operator=(const blocking_region&) = delete;
};

// Thrown by goexit; nothing but the goroutine's own root may keep it.
[[noreturn]] void goexit();
bool is_goexit(const std::exception_ptr& e) noexcept;

// What is known of the panics under way goes with the exception from the main goroutine to the thread in run().
panic_record* release_panics(const std::exception_ptr& thrown);
void adopt_panics(panic_record* newest);

// The main goroutine's function, its arguments, and what came of it; lives on the stack of run()'s caller.
template <class F, class... Args>
class main_call {
  using result = std::invoke_result_t<F, Args...>;
  using stored =
      std::conditional_t<std::is_reference_v<result>, std::remove_reference_t<result>*, result>;

 public:
  template <class G, class... As>
  explicit main_call(G&& f, As&&... args)
      : f_(std::forward<G>(f)), args_(std::forward<As>(args)...) {}

  static void call(void* memory) { static_cast<main_call*>(memory)->call_here(); }

  result get() {
    if (error_) {
      adopt_panics(panics_);
      std::rethrow_exception(std::move(error_));
    }
    if constexpr (std::is_reference_v<result>) {
      return static_cast<result>(**value_);
    } else if constexpr (!std::is_void_v<result>) {
      return std::move(*value_);
    }
  }

 private:
  void call_here();

  F f_;
  std::tuple<Args...> args_;
  std::exception_ptr error_;
  panic_record* panics_ = nullptr;
  std::optional<std::conditional_t<std::is_void_v<result>, char, stored>> value_;
};

template <class F, class... Args>
void main_call<F, Args...>::call_here() {
  try {
    std::apply(
        [&](Args&... args) {
          if constexpr (std::is_void_v<result>) {
            std::invoke(std::move(f_), std::move(args)...);
          } else if constexpr (std::is_reference_v<result>) {
            value_.emplace(std::addressof(std::invoke(std::move(f_), std::move(args)...)));
          } else {
            value_.emplace(std::invoke(std::move(f_), std::move(args)...));
          }
        },
        args_);
  } catch (throw_witness&) {
    __builtin_unreachable();
  } catch (...) {
    error_ = std::current_exception();
  }
  if (error_) panics_ = release_panics(error_);
  if (error_ && is_goexit(error_)) std::rethrow_exception(std::move(error_));
}

}  // namespace detail
}  // namespace runnel
