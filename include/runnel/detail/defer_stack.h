#pragma once
// The deferred calls of a func. Not for programs, but for the name defer_stack.

#include <cstddef>
#include <exception>
#include <functional>
#include <new>
#include <tuple>
#include <type_traits>
#include <utility>

#include "runnel/detail/panic_state.h"
#include "runnel/panic.h"

namespace runnel {

namespace detail {

struct deferred_call {
  deferred_call* next;
  void (*call)(deferred_call*);
  void (*destroy)(deferred_call*) noexcept;
};

[[noreturn]] void panic_nil_call();

template <class F, class... Args>
struct deferred_closure : deferred_call {
  template <class G, class... As>
  explicit deferred_closure(G&& g, As&&... as)
      : f(std::forward<G>(g)), args(std::forward<As>(as)...) {}

  static void run(deferred_call* base) {
    auto& me = *static_cast<deferred_closure*>(base);
    if constexpr (std::is_pointer_v<F> || std::is_member_pointer_v<F> ||
                  requires { me.f == nullptr; }) {
      if (me.f == nullptr) panic_nil_call();
    }
    std::apply([&](Args&... as) { std::invoke(me.f, as...); }, me.args);
  }

  [[no_unique_address]] F f;
  [[no_unique_address]] std::tuple<Args...> args;
};

}  // namespace detail

// What the body of a func defers calls with: defer(f, args...). The function and its arguments are copied now, and called
// when the body has ended. May be passed on to functions that the body calls; not to another goroutine.
class defer_stack {
 public:
  defer_stack() noexcept;
  defer_stack(const defer_stack&) = delete;
  defer_stack& operator=(const defer_stack&) = delete;
  ~defer_stack() {
    if (calls_ != nullptr || record_ != older_) clean_up();
    state_.innermost = outer_;
  }

  template <class F, class... Args>
  void operator()(F&& f, Args&&... args) {
    using closure = detail::deferred_closure<std::decay_t<F>, std::decay_t<Args>...>;
    constexpr bool fits = sizeof(closure) <= sizeof(room_) && alignof(closure) <= alignof(void*);
    void* memory = fits ? take_room(sizeof(closure)) : nullptr;
    closure* made;
    if (memory != nullptr) {
      made = ::new (memory) closure(std::forward<F>(f), std::forward<Args>(args)...);
      made->destroy = [](detail::deferred_call* c) noexcept {
        static_cast<closure*>(c)->~closure();
      };
    } else {
      made = new closure(std::forward<F>(f), std::forward<Args>(args)...);
      made->destroy = [](detail::deferred_call* c) noexcept { delete static_cast<closure*>(c); };
    }
    made->call = &closure::run;
    made->next = calls_;
    calls_ = made;
  }

  // --- for func ---

  // The body has returned.
  void run_deferred() {
    if (calls_ != nullptr) run_all();
  }
  // In a handler: the body has panicked. Returns if a deferred call has recovered.
  void run_deferred_panicking();

 private:
  friend const panic_info* recover() noexcept;

  void* take_room(std::size_t size) noexcept {
    size = (size + sizeof(void*) - 1) / sizeof(void*) * sizeof(void*);
    if (size > sizeof(room_) - used_) return nullptr;
    void* memory = room_ + used_;
    used_ += size;
    return memory;
  }
  void run_all();
  void run_calls();
  void note_panic(std::exception_ptr thrown);
  void clean_up() noexcept;

  detail::panic_state& state_;
  defer_stack* const outer_;
  detail::panic_record* const older_;  // of the func around, if that runs deferred calls for one
  detail::panic_record* record_ = older_;   // ours, if another
  detail::deferred_call* calls_ = nullptr;  // last first
  bool panicking_ = false;                  // not recovered yet
  bool in_call_ = false;                    // a deferred call runs
  std::exception_ptr exit_;                 // goexit
  std::size_t used_ = 0;
  alignas(void*) std::byte room_[160];
};

}  // namespace runnel
