#pragma once
// A socket that never blocks a thread: tries, and waits where the kernel says EAGAIN.
//
// Invariant: whoever uses the number fd holds a use of the descriptor; it is closed when the last one is given back. Who
// waits holds none. The descriptor is the socket's until its end, so that a late call finds it closed, not in use anew.

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include "net/errors.h"
#include "runnel/go.h"
#include "runnel/net/endpoint.h"
#include "runnel/net/error.h"
#include "runnel/time.h"
#include "wait/descriptor.h"

namespace runnel::net {

class socket {
 public:
  socket() noexcept = default;
  // Takes over a socket that does not block. On failure it is closed, and the errno returned.
  int adopt(int fd) noexcept;
  // The same, but on failure it is the caller's still.
  int try_adopt(int fd) noexcept;
  ~socket() {
    if (descriptor_ == nullptr) return;
    descriptor_->close();
    descriptor_->disown();
  }
  socket(const socket&) = delete;
  socket& operator=(const socket&) = delete;

  // False: it was closed before.
  bool close() noexcept { return descriptor_ != nullptr && descriptor_->close(); }

  int fd() const noexcept { return descriptor_ != nullptr ? descriptor_->fd() : -1; }

  // Calls attempt(fd) until it returns something other than -1 with errno EAGAIN, waiting in between. Returns what it
  // returned; -1: the errno is in `error`, or error is an errc. What would not have to wait fails after the deadline, too.
  template <class Attempt>
  auto repeat(wait::direction d, failure& error, Attempt attempt) noexcept -> decltype(attempt(0)) {
    std::uint32_t seen;
    return repeat(d, error, seen, attempt);
  }
  // `seen`: the count of events before the last attempt.
  template <class Attempt>
  auto repeat(wait::direction d, failure& error, std::uint32_t& seen, Attempt attempt) noexcept
      -> decltype(attempt(0)) {
    using number = decltype(attempt(0));
    for (;;) {
      if (!descriptor_->acquire()) {
        error = failure::of(errc::closed);
        return number{-1};
      }
      seen = descriptor_->events(d);
      bool late = descriptor_->is_late(d);
      number n = late ? number{-1} : attempt(descriptor_->number());
      int code = n < 0 ? errno_ref() : 0;
      descriptor_->release();
      if (late) {
        error = failure::of(errc::timed_out);
        return n;
      }
      if (n >= 0) return n;
      if (code == EINTR) continue;
      if (code != EAGAIN && code != EWOULDBLOCK) {
        error = failure::of(code);
        return n;
      }
      error = after(descriptor_->wait(d, seen));
      if (error) return n;
    }
  }

  // As recv, of a stream that is never short unless it is drained.
  ssize_t receive(std::span<std::byte> into, failure& error) noexcept {
    std::uint32_t seen;
    if (descriptor_->take_drained(seen)) {
      error = after(descriptor_->wait(wait::direction::read, seen));
      if (error) return -1;
    }
    ssize_t n = repeat(wait::direction::read, error, seen,
                       [&](int fd) { return recv(fd, into.data(), into.size(), 0); });
    if (n > 0 && static_cast<std::size_t>(n) < into.size()) descriptor_->note_drained(seen);
    return n;
  }

  // Lets time pass: until then (nanotime), or the deadline, or close.
  failure pause(wait::direction d, std::int64_t until) noexcept;

  void set_deadline(wait::direction d, std::int64_t when) noexcept {
    descriptor_->set_deadline(d, when);
  }

  // Calls use(fd), which does not wait, unless the socket is closed.
  template <class Use>
  int with(Use use) noexcept {
    if (!descriptor_->acquire()) return EBADF;
    int result = use(descriptor_->number());
    descriptor_->release();
    return result;
  }

  endpoint local() noexcept;
  endpoint remote() noexcept;

 private:
  endpoint address(int (*ask)(int, sockaddr*, socklen_t*)) noexcept;

  static failure after(wait::io_outcome how) noexcept;

  wait::descriptor* descriptor_ = nullptr;
};

// A deadline as the runtime counts time.
std::int64_t nanotime_of(time_point when) noexcept;

}  // namespace runnel::net
