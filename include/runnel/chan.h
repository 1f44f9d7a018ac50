#pragma once
// Channels: typed conduits between goroutines, plain threads included.
//
//   runnel::chan<int> ch = runnel::make_chan<int>(16);
//   runnel::go([ch] { for (int i = 0; i < 100; ++i) ch.send(i); ch.close(); });
//   for (int v : ch) use(v);
//
// The semantics are those of Go's channels:
//
//                 nil              open                                   closed
//   send          blocks for ever  blocks until there is room or a        panics: "send on closed channel"
//                                  receiver
//   recv          blocks for ever  blocks until there is a value          what is left, then nullopt
//   try_send      false            false if send would block              panics
//   try_recv      empty            empty if recv would block              what is left, then closed
//   close         panics           closes; all who wait go on             panics: "close of closed channel"
//   len, cap      0                values in the buffer, its capacity     likewise
//
// Every function here may be called by any thread: from goroutines, which park, and from plain threads, which
// block. Who waits is served first come first served.
//
// Ordering: a send happens before the receive of its value returns; the n-th receive happens before the send
// number n + capacity returns; a close happens before a receive that reports it.
//
// Values are moved, straight from sender to receiver if one of them waits. A move constructor of T may throw: the
// operation that called it reports that, at most the value it was moving is lost, and the channel stays usable. It
// must neither wait for anything nor use a channel: that is fatal. What is left in a channel is destroyed with its last handle.

#include <chrono>
#include <concepts>
#include <cstddef>
#include <expected>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "runnel/detail/chan_core.h"
#include "runnel/detail/duration.h"

namespace runnel {

// The value of channels that only signal.
struct unit {
  bool operator==(const unit&) const = default;
};

enum class chan_errc {
  empty = 1,  // nothing to receive now
  closed,     // closed and drained
  timeout,    // not in that time
};

template <class T>
class chan;
template <class T>
class send_chan;
template <class T>
class recv_chan;

namespace detail {

// Memory for a T that a channel or a select may have constructed.
template <class T>
union element_slot {
  element_slot() noexcept {}
  ~element_slot() {}
  T value;
};

// A counted reference to a channel.
class chan_handle {
 public:
  chan_handle() = default;
  explicit chan_handle(channel* owned) noexcept : core_(owned) {}
  chan_handle(const chan_handle& other) noexcept : core_(other.core_) { chan_retain(core_); }
  chan_handle(chan_handle&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
  chan_handle& operator=(chan_handle other) noexcept {
    std::swap(core_, other.core_);
    return *this;
  }
  ~chan_handle() { chan_release(core_); }

  // Values in the buffer: what was true at some moment of the call.
  std::size_t len() const noexcept { return chan_len(core_); }
  std::size_t cap() const noexcept { return chan_cap(core_); }
  bool is_nil() const noexcept { return core_ == nullptr; }
  explicit operator bool() const noexcept { return core_ != nullptr; }

  channel* core() const noexcept { return core_; }

 private:
  channel* core_ = nullptr;
};

// What a receive has put into a slot, as Wrap: an optional or an expected.
template <class Wrap, class T>
Wrap take_received(element_slot<T>& slot) {
  struct destroyer {
    T& value;
    ~destroyer() { value.~T(); }
  } on_exit{slot.value};
  return Wrap(std::in_place, std::move(slot.value));
}

template <class T>
std::expected<T, chan_errc> receive(channel* core, std::int64_t deadline, chan_errc none) {
  element_slot<T> slot;
  switch (chan_recv(core, std::addressof(slot.value), deadline)) {
    case chan_status::done: return take_received<std::expected<T, chan_errc>>(slot);
    case chan_status::closed: return std::unexpected(chan_errc::closed);
    default: return std::unexpected(none);
  }
}

template <class T>
std::optional<T> receive(channel* core) {
  element_slot<T> slot;
  if (chan_recv(core, std::addressof(slot.value), no_deadline) != chan_status::done) return {};
  return take_received<std::optional<T>>(slot);
}

// for (T v : ch). Holds the channel.
template <class T>
class chan_iterator {
 public:
  using value_type = T;
  using difference_type = std::ptrdiff_t;

  chan_iterator() = default;
  explicit chan_iterator(chan_handle ch) : ch_(std::move(ch)) { ++*this; }

  T&& operator*() const { return std::move(*value_); }
  chan_iterator& operator++() {
    value_.reset();
    element_slot<T> slot;
    if (chan_recv(ch_.core(), std::addressof(slot.value), no_deadline) == chan_status::done) {
      struct destroyer {
        T& value;
        ~destroyer() { value.~T(); }
      } on_exit{slot.value};
      value_.emplace(std::move(slot.value));
    }
    return *this;
  }
  void operator++(int) { ++*this; }
  bool operator==(std::default_sentinel_t) const noexcept { return !value_.has_value(); }

 private:
  chan_handle ch_;
  mutable std::optional<T> value_;
};

// Makes a handle of a counted channel whose elements are known to be T.
struct chan_access {
  template <class T>
  static chan<T> adopt(channel* owned) noexcept {
    return chan<T>(owned);
  }
};

// The operations of a sending end; Self has core().
template <class Self, class T>
class sending {
 public:
  void send(T v) const { chan_send(handle_core(), std::addressof(v), no_deadline); }

  // True: v has been moved from. False: it would block, and v is untouched.
  bool try_send(T& v) const {
    return chan_send(handle_core(), std::addressof(v), no_wait) == chan_status::done;
  }
  bool try_send(T&& v) const { return try_send(v); }

  // Waits for at most `limit`. False: not in that time, and v is untouched.
  template <class Rep, class Period>
  bool send_for(T& v, std::chrono::duration<Rep, Period> limit) const {
    return chan_send(handle_core(), std::addressof(v), deadline_after(limit)) == chan_status::done;
  }
  template <class Rep, class Period>
  bool send_for(T&& v, std::chrono::duration<Rep, Period> limit) const {
    return send_for(v, limit);
  }

  // Receivers get what is left, and then learn that it is closed. Those who wait do so now; senders that wait panic.
  void close() const { chan_close(handle_core()); }

 private:
  friend Self;
  sending() = default;
  channel* handle_core() const noexcept { return static_cast<const Self*>(this)->core(); }
};

// The operations of a receiving end.
template <class Self, class T>
class receiving {
 public:
  // Waits for a value. nullopt: closed and drained.
  std::optional<T> recv() const { return receive<T>(handle_core()); }

  // chan_errc::empty or closed.
  std::expected<T, chan_errc> try_recv() const {
    return receive<T>(handle_core(), no_wait, chan_errc::empty);
  }

  // Waits for at most `limit`. chan_errc::timeout or closed.
  template <class Rep, class Period>
  std::expected<T, chan_errc> recv_for(std::chrono::duration<Rep, Period> limit) const {
    return receive<T>(handle_core(), deadline_after(limit), chan_errc::timeout);
  }

  // Receives until the channel is closed and drained. Dereferencing moves the value out: for (T v : ch).
  chan_iterator<T> begin() const { return chan_iterator<T>(static_cast<const Self&>(*this)); }
  std::default_sentinel_t end() const noexcept { return {}; }

 private:
  friend Self;
  receiving() = default;
  channel* handle_core() const noexcept { return static_cast<const Self*>(this)->core(); }
};

}  // namespace detail

// A channel of T, to send and to receive: a handle that is cheap to copy. All copies mean the same channel, which
// lives as long as one of them. Default constructed, it is nil.
//
// T must be movable, and not const or a reference. A handle itself is an ordinary value: while one thread assigns
// to it, no other may use that same handle.
template <class T>
class chan : public detail::chan_handle,
             public detail::sending<chan<T>, T>,
             public detail::receiving<chan<T>, T> {
  static_assert(std::is_object_v<T> && !std::is_const_v<T> && !std::is_array_v<T>,
                "a channel's elements are values");

 public:
  using value_type = T;

  chan() = default;

 private:
  friend struct detail::chan_access;
  explicit chan(detail::channel* owned) noexcept : chan_handle(owned) {}
};

// The sending end of a channel: what a function takes that only sends (chan<- T). Implicit from chan<T>.
template <class T>
class send_chan : public detail::chan_handle, public detail::sending<send_chan<T>, T> {
 public:
  using value_type = T;

  send_chan() = default;
  send_chan(chan<T> ch) noexcept : chan_handle(std::move(ch)) {}
};

// The receiving end (<-chan T). Implicit from chan<T>.
template <class T>
class recv_chan : public detail::chan_handle, public detail::receiving<recv_chan<T>, T> {
 public:
  using value_type = T;

  recv_chan() = default;
  recv_chan(chan<T> ch) noexcept : chan_handle(std::move(ch)) {}
};

namespace detail {

template <class>
inline constexpr bool is_chan = false;
template <class T>
inline constexpr bool is_chan<chan<T>> = true;
template <class T>
inline constexpr bool is_chan<send_chan<T>> = true;
template <class T>
inline constexpr bool is_chan<recv_chan<T>> = true;

}  // namespace detail

// Whether two handles or views mean the same channel. Nil ones are equal.
template <class A, class B>
  requires(detail::is_chan<A> && detail::is_chan<B> &&
           std::is_same_v<typename A::value_type, typename B::value_type>)
bool operator==(const A& a, const B& b) noexcept {
  return a.core() == b.core();
}

// A channel with a buffer for `capacity` values; 0: every send meets its receive. Panics if the buffer would not fit
// into the address space: "makechan: size out of range". Throws std::bad_alloc.
template <class T>
chan<T> make_chan(std::size_t capacity = 0) {
  static_assert(std::is_move_constructible_v<T>, "a channel's elements are moved");
  return detail::chan_access::adopt<T>(detail::chan_make(detail::element_type_of<T>, capacity));
}

}  // namespace runnel

template <class T>
struct std::hash<runnel::chan<T>> {
  std::size_t operator()(const runnel::chan<T>& ch) const noexcept {
    return std::hash<const void*>()(ch.core());
  }
};
