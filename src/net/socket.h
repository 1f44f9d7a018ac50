#pragma once
// A socket that never blocks a thread: tries, and waits where the kernel says EAGAIN.
//
// Invariant: whoever uses the number fd holds a use of the descriptor; it is closed when the last one is given back.

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
  ~socket() { close(); }
  socket(const socket&) = delete;
  socket& operator=(const socket&) = delete;

  // False: it was closed before.
  bool close() noexcept { return descriptor_ != nullptr && descriptor_->close(); }

  int fd() const noexcept { return descriptor_ != nullptr ? descriptor_->fd() : -1; }

  // Calls attempt(fd) until it returns something other than -1 with errno EAGAIN, waiting in between. Returns what it
  // returned; -1: the errno is in `error`, or error is an errc.
  template <class Attempt>
  auto repeat(wait::direction d, failure& error, Attempt attempt) noexcept -> decltype(attempt(0)) {
    using number = decltype(attempt(0));
    if (!descriptor_->acquire()) {
      error = failure::of(errc::closed);
      return number{-1};
    }
    number n;
    for (;;) {
      descriptor_->clear(d);
      n = attempt(descriptor_->fd());
      if (n >= 0) break;
      int code = errno_ref();
      if (code == EINTR) continue;
      if (code != EAGAIN && code != EWOULDBLOCK) {
        error = failure::of(code);
        break;
      }
      wait::io_outcome how = descriptor_->wait(d);
      if (how == wait::io_outcome::ready) continue;
      error = failure::of(how == wait::io_outcome::closed ? errc::closed : errc::timed_out);
      break;
    }
    descriptor_->release();
    return n;
  }

  // As recv, of a stream that is never short unless it is drained.
  ssize_t receive(std::span<std::byte> into, failure& error) noexcept {
    if (descriptor_->take_drained()) {
      if ((error = wait_for(wait::direction::read))) return -1;
    }
    ssize_t n = repeat(wait::direction::read, error,
                       [&](int fd) { return recv(fd, into.data(), into.size(), 0); });
    if (n > 0 && static_cast<std::size_t>(n) < into.size()) descriptor_->note_drained();
    return n;
  }

  // As waiting, without an attempt: until connect is done, for one.
  failure wait_for(wait::direction d) noexcept;

  void set_deadline(wait::direction d, std::int64_t when) noexcept {
    descriptor_->set_deadline(d, when);
  }

  // Calls use(fd), which does not wait, unless the socket is closed.
  template <class Use>
  int with(Use use) noexcept {
    if (!descriptor_->acquire()) return EBADF;
    int result = use(descriptor_->fd());
    descriptor_->release();
    return result;
  }

  endpoint local() noexcept;
  endpoint remote() noexcept;

 private:
  wait::descriptor* descriptor_ = nullptr;
};

// A deadline as the runtime counts time.
std::int64_t nanotime_of(time_point when) noexcept;

}  // namespace runnel::net
