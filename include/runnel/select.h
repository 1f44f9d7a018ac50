#pragma once
// Select: waits for several channel operations at once, and does one of them.
//
//   switch (runnel::select(runnel::recv(jobs, job), runnel::recv(quit), runnel::timeout(1s))) {
//     case 0: …                                            // job holds the value, or nullopt if closed
//     case 1: …
//     case 2: …                                            // a second has passed
//   }
//   runnel::select(runnel::recv(jobs, [](std::optional<job> j) { … }), runnel::otherwise([] { … }));
//
// The semantics are those of Go's select statement. Among the cases that can proceed, one is chosen uniformly at
// random; if none can, `otherwise` is taken, if there is one; else the goroutine parks (a plain thread blocks)
// until one can or the timeout is over. A case of a nil channel never can. A receive from a closed channel can, and
// yields nullopt; a send to a closed one panics if it is chosen. Values of cases that are not taken stay untouched.
//
// Handlers are called after the choice, on this goroutine, with no lock held; what they throw leaves select. The
// arguments of select are evaluated before the choice, from whatever order C++ gives them. A case belongs into the
// call of select: it refers to its arguments.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

#include "runnel/chan.h"
#include "runnel/detail/select_cases.h"
#include "runnel/selector.h"

namespace runnel {

// Cases that receive. `out` becomes the value, or nullopt when the channel is closed and drained; f is called with
// such an optional.
template <class T>
auto recv(const chan<T>& ch) {
  return detail::recv_case<T, detail::no_handler>(ch.core(), {});
}
template <class T>
auto recv(const recv_chan<T>& ch) {
  return detail::recv_case<T, detail::no_handler>(ch.core(), {});
}
template <class T>
auto recv(const chan<T>& ch, std::optional<T>& out) {
  return detail::recv_case<T, detail::assign_to<T>>(ch.core(), {&out});
}
template <class T>
auto recv(const recv_chan<T>& ch, std::optional<T>& out) {
  return detail::recv_case<T, detail::assign_to<T>>(ch.core(), {&out});
}
template <class T, class F>
  requires std::is_invocable_v<F&, std::optional<T>>
auto recv(const chan<T>& ch, F&& f) {
  return detail::recv_case<T, F&>(ch.core(), f);
}
template <class T, class F>
  requires std::is_invocable_v<F&, std::optional<T>>
auto recv(const recv_chan<T>& ch, F&& f) {
  return detail::recv_case<T, F&>(ch.core(), f);
}

// Cases that send: v is moved from, if it is a T, when the case is taken; else it is converted at once.
template <class T, class V>
  requires detail::can_send<T, V>
auto send(const chan<T>& ch, V&& v) {
  return detail::send_case<T, V, detail::no_handler>(ch.core(), std::forward<V>(v), {});
}
template <class T, class V>
  requires detail::can_send<T, V>
auto send(const send_chan<T>& ch, V&& v) {
  return detail::send_case<T, V, detail::no_handler>(ch.core(), std::forward<V>(v), {});
}
template <class T, class V, class F>
  requires(detail::can_send<T, V> && std::is_invocable_v<F&>)
auto send(const chan<T>& ch, V&& v, F&& f) {
  return detail::send_case<T, V, F&>(ch.core(), std::forward<V>(v), f);
}
template <class T, class V, class F>
  requires(detail::can_send<T, V> && std::is_invocable_v<F&>)
auto send(const send_chan<T>& ch, V&& v, F&& f) {
  return detail::send_case<T, V, F&>(ch.core(), std::forward<V>(v), f);
}

// Taken when nothing else could be for d; of several the shortest counts. No channel is made, and nothing stays
// behind. Not positive: like otherwise.
template <class Rep, class Period>
auto timeout(std::chrono::duration<Rep, Period> d) {
  return detail::timeout_case<detail::no_handler>(detail::select_deadline(d), {});
}
template <class Rep, class Period, class F>
  requires std::is_invocable_v<F&>
auto timeout(std::chrono::duration<Rep, Period> d, F&& f) {
  return detail::timeout_case<F&>(detail::select_deadline(d), f);
}

// Taken when no other case can proceed at once (Go's default). `otherwise` or `otherwise(f)`.
inline constexpr detail::otherwise_tag otherwise{};

// Does one of the operations and returns its index among the arguments. Without any: blocks for ever.
template <class... Cases>
  requires(detail::is_select_case<std::remove_cvref_t<Cases>> && ...)
std::size_t select(Cases&&... cases) {
  constexpr std::size_t channels = (std::size_t{detail::on_channel<Cases>} + ... + 0);
  constexpr std::size_t defaults = (std::size_t{detail::is_otherwise<Cases>} + ... + 0);
  static_assert(defaults <= 1, "at most one otherwise");
  detail::select_case raw[channels + 1];  // one more: an array has an element
  std::int64_t deadline = detail::no_deadline;
  [[maybe_unused]] std::size_t waiting =
      sizeof...(Cases);  // the index of the case without a channel that counts
  [[maybe_unused]] std::size_t n = 0, i = 0;
  (detail::describe(cases, raw, n, i++, deadline, waiting), ...);
  [[maybe_unused]] std::size_t taken = detail::select_run(raw, channels, deadline);
  n = i = 0;
  std::size_t result = 0;
  (detail::finish(cases, raw, n, i++, taken, channels, waiting, result), ...);
  return result;
}

}  // namespace runnel
