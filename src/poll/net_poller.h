#pragma once
// Which descriptors are ready: one epoll instance, edge-triggered, shared by all threads. It knows no goroutine: what an
// event is about decides itself who goes on, and hands back tokens.
//
// Events are tagged. A descriptor that is closed may have events under way: read by a thread that has not yet come to
// delivering them. The number may mean another file by then, and the memory of what the event is about another
// descriptor: that memory is never freed, and whoever uses it anew uses another tag, so that old events are recognized.
//
// Invariants
//   add(fd, source, tag) was done, remove(fd) not  =>  an edge of fd is delivered as (source, tag), to one thread
//   interrupt() happened after a poll() that waits began  =>  that poll returns
// Any thread may call anything, but one at a time polls and waits: there is one bell, and whoever hears it silences it.

#include <atomic>
#include <cstdint>

#include "base/intrusive_queue.h"
#include "platform/clock.h"

namespace runnel::poll {

// Of somebody who can go on; in the waiter's memory, which stands until the token is acted upon.
struct ready_node {
  ready_node* next = nullptr;
  void* token = nullptr;
};
using ready_list = base::intrusive_queue<ready_node>;

enum io_event : unsigned {
  readable = 1,  // or at its end, or in error
  writable = 2,
  beyond = 4,  // something besides bytes in order: urgent data, the end, an error
};

// What events are about. Its memory is never given back.
struct alignas(64) event_source {
  // Adds to the list whoever can go on now. Neither waits nor allocates.
  using deliver_function = void (*)(event_source&, std::uint16_t tag, unsigned events,
                                    ready_list&) noexcept;
  std::atomic<deliver_function> deliver{nullptr};  // set once, before the first add
  event_source* next_free = nullptr;
};

class net_poller {
 public:
  // Opens it, if it is not open yet. 0, or an errno.
  int open() noexcept;
  bool is_open() const noexcept { return epoll_.load(std::memory_order_acquire) >= 0; }

  // 0, or an errno: EPERM where the descriptor cannot be waited for, as a regular file's, which is always ready.
  int add(int fd, event_source& source, std::uint16_t tag) noexcept;
  // Before the descriptor is closed.
  void remove(int fd) noexcept;

  // Delivers what has happened; waits for it until `until` (nanotime; 0: not at all). Returns early for an interrupt, or
  // for no reason. How many events there were.
  std::size_t poll(std::int64_t until, ready_list& ready) noexcept;
  void interrupt() noexcept;

  // When somebody last looked (nanotime).
  std::int64_t last_poll() const noexcept { return last_poll_.load(std::memory_order_relaxed); }

 private:
  int wait(void* events, int most, std::int64_t until) noexcept;

  std::atomic<int> epoll_{-1};
  std::atomic<int> bell_{-1};  // an eventfd: interrupts
  std::atomic<bool> ringing_{false};
  std::atomic<bool> precise_{true};  // the kernel takes nanoseconds
  std::atomic<std::int64_t> last_poll_{0};
};

}  // namespace runnel::poll
