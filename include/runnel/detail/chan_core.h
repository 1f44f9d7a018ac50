#pragma once
// Channels without their element type: what the templates of chan.h and select.h call. Not for programs.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <type_traits>
#include <utility>

#include "runnel/detail/duration.h"

namespace runnel {
namespace wait {
struct waiter;
}

namespace detail {

// How to handle elements.
struct element_type {
  std::size_t size;
  std::size_t alignment;
  // Move-constructs *to from *from; may throw. nullptr: bytes are copied.
  void (*move)(void* to, void* from);
  void (*destroy)(void* element) noexcept;  // nullptr: nothing to do
};

template <class T>
void move_element(void* to, void* from) {
  ::new (to) T(std::move(*static_cast<T*>(from)));
}

template <class T>
void destroy_element(void* element) noexcept {
  static_cast<T*>(element)->~T();
}

template <class T>
inline constexpr element_type element_type_of{
    sizeof(T), alignof(T), std::is_trivially_copyable_v<T> ? nullptr : &move_element<T>,
    std::is_trivially_destructible_v<T> ? nullptr : &destroy_element<T>};

class channel;

enum class chan_status : std::uint8_t { done, not_ready, closed, timed_out };

// As a deadline: does not wait at all.
inline constexpr std::int64_t no_wait = std::numeric_limits<std::int64_t>::min();

// Panics if the ring would be too large: "makechan: size out of range". Throws std::bad_alloc.
channel* chan_make(const element_type& type, std::size_t capacity);
void chan_retain(channel* c) noexcept;
void chan_release(channel* c) noexcept;
// Whether others than the caller have it, at this moment.
bool chan_shared(const channel* c) noexcept;

// nullptr is a nil channel. `deadline`: of the steady clock, no_deadline or no_wait.
// Moves from *value if the answer is done; never answers closed: panics.
chan_status chan_send(channel* c, void* value, std::int64_t deadline);
// Constructs *into if the answer is done.
chan_status chan_recv(channel* c, void* into, std::int64_t deadline);
void chan_close(channel* c);
std::size_t chan_len(const channel* c) noexcept;
std::size_t chan_cap(const channel* c) noexcept;

// A place in the queue of a channel. A select has one for each of its cases.
struct chan_node {
  enum class outcome : std::uint8_t { waiting, done, closed, retry };

  chan_node* next;
  chan_node* prev;
  wait::waiter* who;
  void* element;   // to move from, or to construct
  bool contested;  // other cases, or a deadline, may be faster: to be claimed
  bool queued;
  outcome result;
};

// A case of a select: filled in up to `sends` by the caller.
struct select_case {
  channel* ch;    // nullptr: never ready
  void* element;  // to move from, or to construct
  bool sends;
  bool received;  // when select_run returns: the case taken has constructed its element
  // The rest is select_run's.
  bool refused;         // looked ready and was not
  std::uint32_t order;  // cases[0 .. n).order: their indexes, by the channel's address
  chan_node node;
};

// Takes one of the cases, or n when the deadline has passed. A case that sends to a closed channel panics when taken.
std::size_t select_run(select_case* cases, std::size_t n, std::int64_t deadline);

}  // namespace detail
}  // namespace runnel
