// Waiting for descriptors that belong to others.
//
// They may already be registered with the poller, by another wait for the same number, and the kernel takes a descriptor only
// once: so what is registered is a duplicate, for the time of the wait. The number that the caller waits for may then even be
// closed by mistake, and used again for another file, without this wait being told of that one.

#include "runnel/net/fd_wait.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "net/socket.h"

namespace runnel {
namespace {

// Whether there is nothing to wait for. Duplicates share the state of what is open, and O_NONBLOCK does not matter: nothing
// is read here.
bool is_ready(int fd, short events) noexcept {
  pollfd one{fd, events, 0};
  return ::poll(&one, 1, 0) != 0;
}

}  // namespace

std::error_code fd_wait(int fd, fd_event what, time_point deadline) {
  short events = what == fd_event::readable ? POLLIN | POLLRDHUP : POLLOUT;
  if (is_ready(fd, events)) return {};
  int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (own < 0) return net::error_of("wait", net::failure::of(errno_ref()));
  net::socket waiting;
  if (int error = waiting.adopt(own)) {
    return error == EPERM ? std::error_code() : net::error_of("wait", net::failure::of(error));
  }
  wait::direction d = what == fd_event::readable ? wait::direction::read : wait::direction::write;
  waiting.set_deadline(d, net::nanotime_of(deadline));
  // The first events come with the registration, and say nothing new.
  while (!is_ready(fd, events)) {
    if (net::failure why = waiting.wait_for(d)) return net::error_of("wait", why);
  }
  return {};
}

}  // namespace runnel
