#include "runnel/net/endpoint.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>

namespace runnel::net {
namespace {

const sockaddr_in& v4(const sockaddr* address) noexcept {
  return *reinterpret_cast<const sockaddr_in*>(address);
}
const sockaddr_in6& v6(const sockaddr* address) noexcept {
  return *reinterpret_cast<const sockaddr_in6*>(address);
}

// An address of either version, with its zone; IPv4's mapped.
std::pair<in6_addr, std::uint32_t> as_six(const sockaddr* address) noexcept {
  if (address->sa_family == AF_INET6) return {v6(address).sin6_addr, v6(address).sin6_scope_id};
  in6_addr mapped{};
  mapped.s6_addr[10] = mapped.s6_addr[11] = 0xff;
  std::memcpy(&mapped.s6_addr[12], &v4(address).sin_addr, sizeof(in_addr));
  return {mapped, 0};
}

}  // namespace

endpoint::endpoint(const sockaddr* address, socklen_t size) noexcept {
  size_ = std::min<socklen_t>(size, sizeof storage_);
  if (size_ < sizeof(sa_family_t)) {
    size_ = 0;
    return;
  }
  std::memcpy(storage_.bytes, address, size_);
}

std::uint16_t endpoint::port() const noexcept {
  if (family() == AF_INET) return ntohs(v4(address()).sin_port);
  if (family() == AF_INET6) return ntohs(v6(address()).sin6_port);
  return 0;
}

endpoint endpoint::with_port(std::uint16_t port) const noexcept {
  endpoint other = *this;
  if (family() == AF_INET) reinterpret_cast<sockaddr_in&>(other.storage_).sin_port = htons(port);
  if (family() == AF_INET6) reinterpret_cast<sockaddr_in6&>(other.storage_).sin6_port = htons(port);
  return other;
}

std::string endpoint::host() const {
  char text[INET6_ADDRSTRLEN];
  if (family() == AF_INET) {
    return inet_ntop(AF_INET, &v4(address()).sin_addr, text, sizeof text);
  }
  if (family() == AF_INET6) {
    const in6_addr& six = v6(address()).sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&six)) {
      // What came to a socket for both versions; Go shows it so, too.
      return inet_ntop(AF_INET, &six.s6_addr[12], text, sizeof text);
    }
    std::string host = inet_ntop(AF_INET6, &six, text, sizeof text);
    if (std::uint32_t scope = v6(address()).sin6_scope_id) {
      char name[IF_NAMESIZE];
      host += '%';
      host += if_indextoname(scope, name) != nullptr ? std::string(name) : std::to_string(scope);
    }
    return host;
  }
  if (family() == AF_UNIX) {
    constexpr std::size_t at = offsetof(sockaddr_un, sun_path);
    if (size_ <= at) return {};  // without a name
    std::string path(storage_.bytes + at, size_ - at);
    if (path[0] == '\0') {
      path[0] = '@';
      return path;
    }
    return path.c_str();  // some kernels count the terminating zero
  }
  return {};
}

std::string endpoint::to_string() const {
  std::string text = host();
  if (family() != AF_INET && family() != AF_INET6) return text;
  if (text.find(':') != std::string::npos) text = "[" + text + "]";
  return text + ":" + std::to_string(port());
}

bool operator==(const endpoint& a, const endpoint& b) noexcept {
  if (a.family() == AF_UNIX || b.family() == AF_UNIX || a.size_ == 0 || b.size_ == 0) {
    return a.size_ == b.size_ && std::memcmp(a.storage_.bytes, b.storage_.bytes, a.size_) == 0;
  }
  if (a.port() != b.port()) return false;
  auto [six_a, zone_a] = as_six(a.address());
  auto [six_b, zone_b] = as_six(b.address());
  return zone_a == zone_b && std::memcmp(&six_a, &six_b, sizeof six_a) == 0;
}

}  // namespace runnel::net
