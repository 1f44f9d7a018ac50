#pragma once
// The address of one end of a connection.

#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>
#include <string>

namespace runnel::net {

// An address of the Internet with a port, or a path: a plain value. Default constructed: none.
class endpoint {
 public:
  endpoint() noexcept = default;
  // Of the kernel.
  endpoint(const sockaddr* address, socklen_t size) noexcept;

  // "127.0.0.1:8080", "[::1]:8080", "[fe80::1%eth0]:80", "/run/a.sock", "@abstract", "" for none: what dial takes.
  std::string to_string() const;
  // The address without the port: "127.0.0.1", "::1", "fe80::1%eth0"; a path as it is.
  std::string host() const;
  std::uint16_t port() const noexcept;  // 0: none
  // The same address with another port; of a path, or none, the same.
  endpoint with_port(std::uint16_t port) const noexcept;

  // For calls of the kernel: AF_INET, AF_INET6, AF_UNIX; AF_UNSPEC, with a size of 0, for none.
  int family() const noexcept { return size_ == 0 ? AF_UNSPEC : storage_.any.sa_family; }
  const sockaddr* address() const noexcept { return &storage_.any; }
  socklen_t size() const noexcept { return size_; }

  // An IPv4 address equals its form in IPv6 of the kind "mapped", which a socket for both versions shows.
  friend bool operator==(const endpoint& a, const endpoint& b) noexcept;

 private:
  socklen_t size_ = 0;
  union {
    sockaddr any;
    sockaddr_un path;  // the largest
    char bytes[sizeof(sockaddr_un)];
  } storage_{};
};

}  // namespace runnel::net
