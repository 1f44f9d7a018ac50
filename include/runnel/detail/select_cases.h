#pragma once
// The cases of a select: what they refer to, and what is done with the one taken. Not for programs.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "runnel/chan.h"

namespace runnel::detail {

struct no_handler {
  template <class... Args>
  void operator()(Args&&...) const noexcept {}
};

// A T itself is referred to; a T is made of anything else.
template <class T, class V>
concept can_send = std::is_same_v<std::remove_reference_t<V>, T> || std::is_constructible_v<T, V>;

template <class C>
inline constexpr bool can_recv_from = false;
template <class T>
inline constexpr bool can_recv_from<chan<T>> = true;
template <class T>
inline constexpr bool can_recv_from<recv_chan<T>> = true;
template <class C>
inline constexpr bool can_send_to = false;
template <class T>
inline constexpr bool can_send_to<chan<T>> = true;
template <class T>
inline constexpr bool can_send_to<send_chan<T>> = true;

template <class T>
struct assign_to {
  std::optional<T>* out;
  void operator()(std::optional<T>&& value) const { *out = std::move(value); }
};

// F is a reference to the program's handler, or one of the two above.
template <class T, class F>
class recv_case {
 public:
  static constexpr bool on_channel = true;

  recv_case(channel* ch, F f) noexcept : ch_(ch), f_(f) {}
  recv_case(const recv_case&) = delete;
  recv_case& operator=(const recv_case&) = delete;

  void describe(select_case& c) noexcept {
    c.ch = ch_;
    c.element = std::addressof(slot_.value);
    c.sends = false;
    c.received = false;
  }
  void taken(const select_case& c) {
    if (!c.received) {
      f_(std::optional<T>());
    } else if constexpr (std::is_same_v<F, no_handler>) {
      slot_.value.~T();
    } else {
      f_(take_received<std::optional<T>>(slot_));
    }
  }

 private:
  channel* const ch_;
  F f_;
  element_slot<T> slot_;
};

// V is T& or T, whose object is moved from when the case is taken; of anything else a T is made at once.
template <class T, class V, class F>
class send_case {
  static constexpr bool refers = std::is_same_v<std::remove_reference_t<V>, T>;

 public:
  static constexpr bool on_channel = true;

  send_case(channel* ch, V&& v, F f) : ch_(ch), value_(hold(v)), f_(f) {}
  send_case(const send_case&) = delete;
  send_case& operator=(const send_case&) = delete;

  void describe(select_case& c) noexcept {
    c.ch = ch_;
    c.element = std::addressof(value_);
    if constexpr (refers) c.element = value_;
    c.sends = true;
    c.received = false;
  }
  void taken(const select_case&) { f_(); }

 private:
  static auto hold(std::remove_reference_t<V>& v) {
    if constexpr (refers) {
      return std::addressof(v);
    } else {
      return T(static_cast<V&&>(v));
    }
  }

  channel* const ch_;
  std::conditional_t<refers, T*, T> value_;
  F f_;
};

// no_wait when there is nothing to wait for.
template <class Rep, class Period>
std::int64_t select_deadline(std::chrono::duration<Rep, Period> d) noexcept {
  return d > d.zero() ? deadline_after(d) : no_wait;
}

template <class F>
class timeout_case {
 public:
  static constexpr bool on_channel = false;

  timeout_case(std::int64_t deadline, F f) noexcept : deadline(deadline), f_(f) {}
  void taken() { f_(); }

  const std::int64_t deadline;

 private:
  F f_;
};

template <class F>
class otherwise_case {
 public:
  static constexpr bool on_channel = false;

  explicit otherwise_case(F f) noexcept : f_(f) {}
  void taken() { f_(); }

  static constexpr std::int64_t deadline = no_wait;

 private:
  F f_;
};

struct otherwise_tag {
  static constexpr bool on_channel = false;
  static constexpr std::int64_t deadline = no_wait;

  void taken() const noexcept {}
  template <class F>
    requires std::is_invocable_v<F&>
  auto operator()(F&& f) const {
    return otherwise_case<F&>(f);
  }
};

template <class C>
inline constexpr bool is_select_case = false;
template <class T, class F>
inline constexpr bool is_select_case<recv_case<T, F>> = true;
template <class T, class V, class F>
inline constexpr bool is_select_case<send_case<T, V, F>> = true;
template <class F>
inline constexpr bool is_select_case<timeout_case<F>> = true;
template <class F>
inline constexpr bool is_select_case<otherwise_case<F>> = true;
template <>
inline constexpr bool is_select_case<otherwise_tag> = true;

template <class C>
inline constexpr bool is_otherwise_case = false;
template <class F>
inline constexpr bool is_otherwise_case<otherwise_case<F>> = true;
template <>
inline constexpr bool is_otherwise_case<otherwise_tag> = true;

template <class C>
inline constexpr bool on_channel = std::remove_cvref_t<C>::on_channel;
template <class C>
inline constexpr bool is_otherwise = is_otherwise_case<std::remove_cvref_t<C>>;

// The case at place i: into raw[n], or into the deadline.
template <class C>
void describe(C& c, select_case* raw, std::size_t& n, std::size_t i, std::int64_t& deadline,
              std::size_t& waiting) noexcept {
  if constexpr (on_channel<C>) {
    c.describe(raw[n++]);
  } else if (c.deadline < deadline) {
    deadline = c.deadline;
    waiting = i;
  }
}

// What follows for the case at place i, when raw[taken] was taken.
template <class C>
void finish(C& c, select_case* raw, std::size_t& n, std::size_t i, std::size_t taken,
            std::size_t channels, std::size_t waiting, std::size_t& result) {
  if constexpr (on_channel<C>) {
    std::size_t mine = n++;
    if (mine != taken) return;
    result = i;
    c.taken(raw[mine]);
  } else if (taken == channels && i == waiting) {
    result = i;
    c.taken();
  }
}

}  // namespace runnel::detail
