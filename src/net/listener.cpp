#include "runnel/net/listener.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string>
#include <vector>

#include "base/check.h"
#include "net/address.h"
#include "net/stream_socket.h"

namespace runnel::net {

struct listener::impl {
  explicit impl(const char* network) noexcept : network(network) {}
  ~impl() { close(); }

  void close() noexcept {
    if (!socket.close() || path.empty()) return;
    unlink(path.c_str());
  }

  const char* const network;
  net::socket socket;
  endpoint address;
  std::string path;  // of a Unix socket that we have made
  std::atomic<bool> shortage_told{false};
};

namespace {

constexpr std::chrono::milliseconds shortage_pause_min{5};
constexpr std::chrono::milliseconds shortage_pause_max{1000};

int open_socket(const network_kind& kind, const endpoint& at, bool both_versions,
                const listen_options& how, int& fd) noexcept {
  fd = ::socket(at.family(), kind.type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno_ref();
  int on = 1;
  int off = 0;
  if (at.family() != AF_UNIX) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (how.reuse_port) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (at.family() == AF_INET6) {
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, both_versions ? &off : &on, sizeof on);
  }
  if (bind(fd, at.address(), at.size()) != 0 ||
      ::listen(fd, how.backlog > 0 ? how.backlog : SOMAXCONN) != 0) {
    int error = errno_ref();
    ::close(fd);
    return error;
  }
  return 0;
}

// A host left out means both versions of IP, by one socket: IPv6's comes first then.
void prefer_both(std::vector<endpoint>& addresses) {
  // Not stable_partition: for that, Clang 19 finds fault with the library of GCC 12.
  std::vector<endpoint> others;
  std::erase_if(addresses, [&](const endpoint& one) {
    if (one.family() != AF_INET6) others.push_back(one);
    return one.family() != AF_INET6;
  });
  addresses.insert(addresses.end(), others.begin(), others.end());
}

bool is_shortage(const failure& why) noexcept {
  return !why.ours && (why.number == EMFILE || why.number == ENFILE || why.number == ENOBUFS ||
                       why.number == ENOMEM);
}

// What befell a connection before it was accepted is not the listener's matter.
bool is_of_the_connection(const failure& why) noexcept {
  return !why.ours &&
         (why.number == ECONNABORTED || why.number == EPROTO || why.number == EPERM ||
          why.number == ENETDOWN || why.number == EHOSTUNREACH || why.number == ENETUNREACH);
}

}  // namespace

result<listener> listen(std::string_view network, std::string_view address, listen_options how) {
  network_kind kind;
  if (!parse_network(network, kind) || kind.type != SOCK_STREAM) {
    return std::unexpected(error_of("listen", network, failure::of(errc::unknown_network)));
  }
  std::string where = std::string(network) + " " + std::string(address);
  std::vector<endpoint> found;
  if (failure why = resolve_address(nullptr, kind, address, purpose::listen, found)) {
    return std::unexpected(error_of("listen", where, why));
  }
  bool everywhere = address.starts_with(':') && kind.family == AF_UNSPEC;
  if (everywhere) prefer_both(found);
  int error = 0;
  for (const endpoint& at : found) {
    int fd = -1;
    error = open_socket(kind, at, everywhere, how, fd);
    if (error != 0) continue;
    auto made = std::make_shared<listener::impl>(kind.name);
    error = made->socket.adopt(fd);
    if (error != 0) break;
    made->address = made->socket.local();
    if (at.family() == AF_UNIX && address[0] != '@') made->path = address;
    return listener(std::move(made));
  }
  return std::unexpected(error_of("listen", where, failure::of(error)));
}

result<listener> listener::from_fd(int fd) {
  int type = 0;
  int listens = 0;
  socklen_t size = sizeof type;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 ||
      getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0) {
    return std::unexpected(error_of("listen", failure::of(errno_ref())));
  }
  if (type != SOCK_STREAM || listens == 0) {
    return std::unexpected(error_of("listen", failure::of(EINVAL)));
  }
  int flags = fcntl(fd, F_GETFL);
  fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  sockaddr_storage address;
  size = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  endpoint at;
  if (getsockname(fd, any, &size) == 0) at = endpoint(any, size);
  auto made = std::make_shared<impl>(at.family() == AF_UNIX ? "unix" : "tcp");
  if (int error = made->socket.adopt(fd)) {
    return std::unexpected(error_of("listen", failure::of(error)));
  }
  made->address = at;
  return listener(std::move(made));
}

result<conn> listener::accept() const {
  auto pause = shortage_pause_min;
  for (;;) {
    failure why;
    int fd = impl_->socket.repeat(wait::direction::read, why, [](int listening) {
      return accept4(listening, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    });
    if (fd >= 0) {
      auto made = std::make_shared<stream_socket>(impl_->network);
      if (int error = made->adopt(fd)) {
        return std::unexpected(error_of("accept", failure::of(error)));
      }
      impl_->shortage_told.store(false, std::memory_order_relaxed);
      return conn(std::move(made));
    }
    if (is_of_the_connection(why)) continue;
    if (!is_shortage(why)) {
      std::string operation = std::string("accept ") + impl_->network;
      return std::unexpected(error_of(operation, impl_->address.to_string(), why));
    }
    if (!impl_->shortage_told.exchange(true, std::memory_order_relaxed)) {
      std::string text = "runnel: accept " + impl_->address.to_string() + ": " +
                         std::strerror(why.number) +
                         "; connections wait in the backlog. See RLIMIT_NOFILE.\n";
      base::write_error(text);
    }
    sleep(pause);
    pause = std::min(2 * pause, shortage_pause_max);
  }
}

endpoint listener::addr() const { return impl_->address; }
void listener::close() const { impl_->close(); }
int listener::fd() const noexcept { return impl_->socket.fd(); }
void listener::set_deadline(time_point when) const {
  impl_->socket.set_deadline(wait::direction::read, nanotime_of(when));
}

}  // namespace runnel::net
