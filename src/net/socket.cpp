#include "net/socket.h"

#include <unistd.h>

namespace runnel::net {

int socket::adopt(int fd) noexcept {
  int error = 0;
  descriptor_ = wait::descriptor::open(fd, error);
  if (descriptor_ == nullptr) ::close(fd);
  return error;
}

failure socket::wait_for(wait::direction d) noexcept {
  if (!descriptor_->acquire()) return failure::of(errc::closed);
  wait::io_outcome how = descriptor_->wait(d);
  descriptor_->release();
  switch (how) {
    case wait::io_outcome::ready: return {};
    case wait::io_outcome::closed: return failure::of(errc::closed);
    case wait::io_outcome::timed_out: return failure::of(errc::timed_out);
  }
  return {};
}

endpoint socket::local() noexcept {
  endpoint found;
  with([&](int fd) {
    sockaddr_storage address;
    socklen_t size = sizeof address;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    if (getsockname(fd, any, &size) == 0) found = endpoint(any, size);
    return 0;
  });
  return found;
}

endpoint socket::remote() noexcept {
  endpoint found;
  with([&](int fd) {
    sockaddr_storage address;
    socklen_t size = sizeof address;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    if (getpeername(fd, any, &size) == 0) found = endpoint(any, size);
    return 0;
  });
  return found;
}

std::int64_t nanotime_of(time_point when) noexcept {
  if (when == time_point::max()) return platform::time_never;
  // The steady clock is the kernel's monotonic one. What is past is as good as the first nanosecond.
  auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(when.time_since_epoch()).count();
  return ns < 1 ? 1 : ns;
}

}  // namespace runnel::net
