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
  // Calls it, if that is wanted, and destroys it in any case.
  void (*finish)(deferred_call*, bool call);
};

[[noreturn]] void panic_nil_call();

// `InRoom`: in the room of its defer_stack, not on the heap.
template <bool InRoom, class F, class... Args>
struct deferred_closure : deferred_call {
  template <class G, class... As>
  explicit deferred_closure(G&& g, As&&... as)
      : f(std::forward<G>(g)), args(std::forward<As>(as)...) {}

  static void finish_one(deferred_call* base, bool call) {
    struct destroyed_at_end {
      deferred_closure* me;
      ~destroyed_at_end() {
        if constexpr (InRoom) {
          me->~deferred_closure();
        } else {
          delete me;
        }
      }
    };
    destroyed_at_end it{static_cast<deferred_closure*>(base)};
    if (call) it.me->run();
  }

  void run() {
    if constexpr (std::is_pointer_v<F> || std::is_member_pointer_v<F> ||
                  requires(F& g) { g == nullptr; }) {
      if (f == nullptr) panic_nil_call();
    }
    std::apply([&](Args&... as) { std::invoke(f, as...); }, args);
  }

  [[no_unique_address]] F f;
  [[no_unique_address]] std::tuple<Args...> args;
};

}  // namespace detail

// What the body of a func defers calls with: defer(f, args...). The function and its arguments are copied now, and called
// when the body has ended. May be passed on to functions that the body calls; not to another goroutine.
class defer_stack {
 public:
  defer_stack() noexcept
      : state_(detail::current_panic_state()),
        outer_(state_.innermost),
        older_(outer_ != nullptr ? outer_->record_ : nullptr) {
    state_.innermost = this;
  }
  defer_stack(const defer_stack&) = delete;
  defer_stack& operator=(const defer_stack&) = delete;
  ~defer_stack() {
    if (calls_ != nullptr || unwound_) [[unlikely]]
      clean_up();
    state_.innermost = outer_;
  }

  template <class F, class... Args>
  void operator()(F&& f, Args&&... args) {
    using small = detail::deferred_closure<true, std::decay_t<F>, std::decay_t<Args>...>;
    using large = detail::deferred_closure<false, std::decay_t<F>, std::decay_t<Args>...>;
    constexpr std::size_t size =
        (sizeof(small) + alignof(void*) - 1) / alignof(void*) * alignof(void*);
    if constexpr (size <= sizeof(room_) && alignof(small) <= alignof(void*)) {
      if (size <= sizeof(room_) - used_) {
        auto* made = ::new (static_cast<void*>(room_ + used_))
            small(std::forward<F>(f), std::forward<Args>(args)...);
        used_ += size;
        return add(made, &small::finish_one);
      }
    }
    add(new large(std::forward<F>(f), std::forward<Args>(args)...), &large::finish_one);
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

  void add(detail::deferred_call* made, void (*finish)(detail::deferred_call*, bool)) noexcept {
    made->finish = finish;
    made->next = calls_;
    calls_ = made;
  }
  void run_all();
  void note_panic(std::exception_ptr thrown);
  [[gnu::cold]] void clean_up() noexcept;

  detail::panic_state& state_;
  defer_stack* const outer_;
  detail::panic_record* older_;  // of the func around, if that runs deferred calls for one
  detail::panic_record* record_ = older_;   // ours, if another
  detail::deferred_call* calls_ = nullptr;  // last first
  bool unwound_ = false;                    // an exception has left the body or a call
  bool panicking_ = false;                  // not recovered yet
  bool in_call_ = false;                    // a deferred call runs
  std::size_t used_ = 0;
  union {
    std::exception_ptr exit_;  // goexit; lives if unwound_
  };
  alignas(void*) std::byte room_[160];
};

}  // namespace runnel
