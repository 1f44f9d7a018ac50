#include "net/socket.h"

#include <unistd.h>

#include <algorithm>

#include "platform/clock.h"
#include "wait/waiter.h"

namespace runnel::net {

int socket::adopt(int fd) noexcept {
  int error = try_adopt(fd);
  if (error != 0) ::close(fd);
  return error;
}

int socket::try_adopt(int fd) noexcept {
  int error = 0;
  descriptor_ = wait::descriptor::open(fd, error);
  return error;
}

failure socket::after(wait::io_outcome how) noexcept {
  switch (how) {
    case wait::io_outcome::ready: return {};
    case wait::io_outcome::closed: return failure::of(errc::closed);
    case wait::io_outcome::timed_out: return failure::of(errc::timed_out);
  }
  return {};
}

failure socket::pause(wait::direction d, std::int64_t until) noexcept {
  if (goroutine_id() == 0) {
    // A plain thread in poll(2) would be told again and again that the socket is ready.
    constexpr std::int64_t slice_ns = 5'000'000;
    for (std::int64_t now = platform::nanotime(); now < until; now = platform::nanotime()) {
      if (descriptor_->fd() < 0) return failure::of(errc::closed);
      if (descriptor_->is_late(d)) return failure::of(errc::timed_out);
      wait::sleep_until(std::min(until, now + slice_ns));
    }
    return {};
  }
  for (;;) {
    failure why = after(descriptor_->wait(d, descriptor_->events(d), until));
    if (!why) continue;
    bool over =
        why.ours && why.number == static_cast<int>(errc::timed_out) && !descriptor_->is_late(d);
    return over ? failure{} : why;
  }
}

endpoint socket::address(int (*ask)(int, sockaddr*, socklen_t*)) noexcept {
  endpoint found;
  with([&](int fd) {
    sockaddr_storage address;
    socklen_t size = sizeof address;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    if (ask(fd, any, &size) == 0) found = endpoint(any, size);
    return 0;
  });
  return found;
}

endpoint socket::local() noexcept {
  return address([](int fd, sockaddr* to, socklen_t* size) { return getsockname(fd, to, size); });
}
endpoint socket::remote() noexcept {
  return address([](int fd, sockaddr* to, socklen_t* size) { return getpeername(fd, to, size); });
}

std::int64_t nanotime_of(time_point when) noexcept {
  if (when == time_point::max()) return platform::time_never;
  // The steady clock is the kernel's monotonic one. What is past is as good as the first nanosecond.
  auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(when.time_since_epoch()).count();
  return ns < 1 ? 1 : ns;
}

}  // namespace runnel::net
