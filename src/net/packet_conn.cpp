#include "runnel/net/packet_conn.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "net/address.h"
#include "net/socket.h"

namespace runnel::net {

struct packet_conn::impl {
  ~impl() { close(); }

  void close() noexcept {
    if (socket.close() && !path.empty()) unlink(path.c_str());
  }

  std::string network;
  std::string name;  // for messages: "udp 127.0.0.1:53"
  net::socket socket;
  std::string path;
};

namespace {

// -1: the error is in `why`.
int open_socket(const network_kind& kind, const endpoint& at, bool both_versions, failure& why) {
  int fd = ::socket(at.family(), kind.type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int v6_only = both_versions ? 0 : 1;
  if (fd >= 0 && at.family() == AF_INET6) {
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only);
  }
  if (fd >= 0 && bind(fd, at.address(), at.size()) == 0) return fd;
  why = failure::of(errno_ref());
  if (fd >= 0) ::close(fd);
  return -1;
}

}  // namespace

result<packet_conn> listen_packet(std::string_view network, std::string_view address) {
  network_kind kind;
  if (!parse_network(network, kind) || kind.type != SOCK_DGRAM) {
    return std::unexpected(error_of("listen", network, failure::of(errc::unknown_network)));
  }
  std::string where = std::string(network) + " " + std::string(address);
  std::vector<endpoint> found;
  failure why = resolve_address(nullptr, kind, address, purpose::listen, found);
  bool both_versions = order_for_listening(kind, address, found);
  for (const endpoint& at : found) {
    int fd = open_socket(kind, at, both_versions, why);
    if (fd < 0) continue;
    auto made = std::make_shared<packet_conn::impl>();
    if (int error = made->socket.adopt(fd)) {
      return std::unexpected(error_of("listen", where, failure::of(error)));
    }
    made->network = kind.name;
    made->name = made->network + " " + made->socket.local().to_string();
    if (at.family() == AF_UNIX && address[0] != '@') made->path = address;
    return packet_conn(std::move(made));
  }
  return std::unexpected(error_of("listen", where, why));
}

result<packet_conn::received> packet_conn::read_from(std::span<std::byte> into) const {
  received got;
  sockaddr_storage from;
  iovec piece{into.data(), into.size()};
  msghdr message{};
  failure why;
  ssize_t n = impl_->socket.repeat(wait::direction::read, why, [&](int fd) {
    message = {};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    return recvmsg(fd, &message, 0);
  });
  if (n < 0) return std::unexpected(error_of("read", impl_->name, why));
  got.size = static_cast<std::size_t>(n);
  got.truncated = (message.msg_flags & MSG_TRUNC) != 0;
  got.from = endpoint(reinterpret_cast<sockaddr*>(&from), message.msg_namelen);
  return got;
}

result<std::size_t> packet_conn::write_to(std::span<const std::byte> what,
                                          const endpoint& to) const {
  failure why;
  ssize_t n = impl_->socket.repeat(wait::direction::write, why, [&](int fd) {
    return sendto(fd, what.data(), what.size(), MSG_NOSIGNAL, to.address(), to.size());
  });
  if (n < 0) {
    return std::unexpected(error_of("write", impl_->network + " " + to.to_string(), why));
  }
  return static_cast<std::size_t>(n);
}

endpoint packet_conn::local() const { return impl_->socket.local(); }
void packet_conn::close() const { impl_->close(); }
int packet_conn::fd() const noexcept { return impl_->socket.fd(); }
void packet_conn::set_deadline(time_point when) const {
  set_read_deadline(when);
  set_write_deadline(when);
}
void packet_conn::set_read_deadline(time_point when) const {
  impl_->socket.set_deadline(wait::direction::read, nanotime_of(when));
}
void packet_conn::set_write_deadline(time_point when) const {
  impl_->socket.set_deadline(wait::direction::write, nanotime_of(when));
}

}  // namespace runnel::net
