#pragma once
// What the templates of go.h call. Not for programs.

#include <cstddef>
#include <functional>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace runnel {

// Options of one goroutine.
struct go_options {
  std::string_view name{};     // for reports; copied
  std::size_t stack_size = 0;  // bytes, as options::stack_size; 0: the runtime's default
};

namespace detail {

struct spawn_slot {
  void* record;
  void* closure;  // uninitialized memory for it
};

// Memory for a closure. Any thread. Throws std::bad_alloc.
spawn_slot spawn_prepare(std::size_t size, std::size_t alignment);
// Queues the goroutine that calls invoke(closure). noexcept: what was prepared is accepted.
void spawn_commit(const spawn_slot& slot, void (*invoke)(void*), const go_options* options,
                  void* creator_pc) noexcept;
// Gives the memory back instead.
void spawn_cancel(const spawn_slot& slot) noexcept;

template <class F, class... Args>
class goroutine_closure {
 public:
  template <class G, class... As>
  explicit goroutine_closure(G&& f, As&&... args)
      : f_(std::forward<G>(f)), args_(std::forward<As>(args)...) {}

  // Calls the function and destroys it and its arguments, whichever way the call ends.
  static void invoke(void* memory) {
    auto* self = static_cast<goroutine_closure*>(memory);
    struct destroyer {
      goroutine_closure* self;
      ~destroyer() { self->~goroutine_closure(); }
    } on_exit{self};
    std::apply([&](Args&... args) { std::invoke(std::move(self->f_), std::move(args)...); },
               self->args_);
  }

 private:
  [[no_unique_address]] F f_;
  [[no_unique_address]] std::tuple<Args...> args_;
};

// creator_pc: a return address in whoever asked for it. Callers are never inlined, so that theirs is one.
template <class F, class... Args>
[[gnu::always_inline]] inline void spawn(const go_options* options, void* creator_pc, F&& f,
                                         Args&&... args) {
  using closure = goroutine_closure<std::decay_t<F>, std::decay_t<Args>...>;
  spawn_slot slot = spawn_prepare(sizeof(closure), alignof(closure));
  if constexpr (std::is_nothrow_constructible_v<std::decay_t<F>, F> &&
                (std::is_nothrow_constructible_v<std::decay_t<Args>, Args> && ...)) {
    ::new (slot.closure) closure(std::forward<F>(f), std::forward<Args>(args)...);
  } else {
    try {
      ::new (slot.closure) closure(std::forward<F>(f), std::forward<Args>(args)...);
    } catch (...) {
      spawn_cancel(slot);
      throw;
    }
  }
  spawn_commit(slot, &closure::invoke, options, creator_pc);
}

}  // namespace detail
}  // namespace runnel
