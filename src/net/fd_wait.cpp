// Waiting for descriptors that belong to others.
//
// They may already be registered with the poller, by another wait for the same number, and the kernel takes a descriptor only
// once: so what is registered is a duplicate, for the time of the wait. The number that the caller waits for may then even be
// closed by mistake, and used again for another file, without this wait being told of that one.

#include "runnel/net/fd_wait.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "net/socket.h"

namespace runnel {
namespace {

// Whether there is nothing to wait for: 1, or 0; -1: errno says why that cannot be known. Duplicates share the state of what is
// open, and O_NONBLOCK does not matter: nothing is read here.
int is_ready(int fd, short events) noexcept {
  pollfd one{fd, events, 0};
  int n = ::poll(&one, 1, 0);
  if (fd < 0 || (n == 1 && (one.revents & POLLNVAL) != 0)) {
    errno_ref() = EBADF;
    return -1;
  }
  if (n < 0 && errno_ref() == EINTR) errno_ref() = EAGAIN;
  return n > 0 ? 1 : (n < 0 ? -1 : 0);
}

// A plain thread may as well wait there.
net::failure poll_until(int fd, short events, std::int64_t until) noexcept {
  for (;;) {
    std::int64_t left = until == platform::time_never ? 0 : until - platform::nanotime();
    if (left < 0) return net::failure::of(net::errc::timed_out);
    timespec limit{left / 1'000'000'000, left % 1'000'000'000};
    pollfd one{fd, events, 0};
    int n = ppoll(&one, 1, until == platform::time_never ? nullptr : &limit, nullptr);
    if (n > 0) return {};
    if (n < 0 && errno_ref() != EINTR) return net::failure::of(errno_ref());
  }
}

}  // namespace

std::error_code fd_wait(int fd, fd_event what, time_point deadline) {
  short events = what == fd_event::readable ? POLLIN | POLLRDHUP : POLLOUT;
  int ready = is_ready(fd, events);
  if (ready > 0) return {};
  if (ready < 0) return net::error_of("wait", net::failure::of(errno_ref()));
  if (goroutine_id() == 0) {
    return net::error_of("wait", poll_until(fd, events, net::nanotime_of(deadline)));
  }
  int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (own < 0) return net::error_of("wait", net::failure::of(errno_ref()));
  net::socket waiting;
  if (int error = waiting.adopt(own)) {
    return error == EPERM ? std::error_code() : net::error_of("wait", net::failure::of(error));
  }
  wait::direction d = what == fd_event::readable ? wait::direction::read : wait::direction::write;
  waiting.set_deadline(d, net::nanotime_of(deadline));
  // The first events come with the registration, and say nothing new.
  net::failure why;
  waiting.repeat(d, why, [&](int registered) {
    int now = is_ready(registered, events);
    if (now == 0) errno_ref() = EAGAIN;
    return now > 0 ? 0 : -1;
  });
  return net::error_of("wait", why);
}

}  // namespace runnel
