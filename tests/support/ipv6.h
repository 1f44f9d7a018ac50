#pragma once
// Whether this machine has IPv6: asked of the kernel, not of what is tested.

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace test {

inline bool has_ipv6() {
  int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  sockaddr_in6 loopback{};
  loopback.sin6_family = AF_INET6;
  loopback.sin6_addr = in6addr_loopback;
  bool bound = bind(fd, reinterpret_cast<sockaddr*>(&loopback), sizeof loopback) == 0;
  close(fd);
  return bound;
}

}  // namespace test
