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
#include "platform/clock.h"

namespace runnel::net {

struct listener::impl {
  ~impl() { close(); }

  void close() noexcept {
    if (!socket.close() || path.empty() || !owns_path.load(std::memory_order_relaxed)) return;
    unlink(path.c_str());
  }

  // Of every connection, too: made once.
  void set_name(const char* network) {
    name = std::make_shared<const std::string>(std::string(network) + " " + address.to_string());
  }

  // Tells about a shortage, but not again and again.
  void tell(int error) noexcept {
    std::int64_t now = platform::nanotime();
    std::int64_t before = told_at.load(std::memory_order_relaxed);
    if (before != 0 && now - before < tell_again_ns) return;
    if (!told_at.compare_exchange_strong(before, now, std::memory_order_relaxed)) return;
    std::string text = "runnel: accept " + *name + ": " + std::strerror(error) +
                       "; connections wait in the backlog" +
                       (error == EMFILE ? ". See RLIMIT_NOFILE.\n" : ".\n");
    base::write_error(text);
  }

  static constexpr std::int64_t tell_again_ns = 60'000'000'000;

  net::socket socket;
  endpoint address;
  std::shared_ptr<const std::string> name;
  std::string path;  // of a Unix socket that we have made
  std::atomic<bool> owns_path{true};
  bool options_set = false;  // before the first connection came in
  std::atomic<std::int64_t> told_at{0};
};

namespace {

constexpr std::int64_t shortage_pause_min_ns = 5'000'000;
constexpr std::int64_t shortage_pause_max_ns = 1'000'000'000;

int open_socket(const network_kind& kind, const endpoint& at, bool both_versions,
                const listen_options& how, int& fd) noexcept {
  fd = ::socket(at.family(), kind.type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno_ref();
  int on = 1;
  int off = 0;
  if (at.family() != AF_UNIX) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  bool set = !how.reuse_port || at.family() == AF_UNIX ||
             setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0;
  if (at.family() != AF_UNIX) set_usual_options(fd);
  if (at.family() == AF_INET6) {
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, both_versions ? &off : &on, sizeof on);
  }
  if (!set || bind(fd, at.address(), at.size()) != 0 ||
      ::listen(fd, how.backlog > 0 ? how.backlog : SOMAXCONN) != 0) {
    int error = errno_ref();
    ::close(fd);
    return error;
  }
  return 0;
}

bool is_shortage(const failure& why) noexcept {
  return !why.ours && (why.number == EMFILE || why.number == ENFILE || why.number == ENOBUFS ||
                       why.number == ENOMEM);
}

// What befell a connection before it was accepted is not the listener's matter.
bool is_of_the_connection(const failure& why) noexcept {
  return !why.ours &&
         (why.number == ECONNABORTED || why.number == EPROTO || why.number == EPERM ||
          why.number == ENETDOWN || why.number == EHOSTUNREACH || why.number == ENETUNREACH ||
          why.number == EHOSTDOWN || why.number == ENONET || why.number == ENOPROTOOPT ||
          why.number == EOPNOTSUPP);
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
  bool everywhere = order_for_listening(kind, address, found);
  int error = 0;
  for (const endpoint& at : found) {
    int fd = -1;
    error = open_socket(kind, at, everywhere, how, fd);
    if (error != 0) continue;
    auto made = std::make_shared<listener::impl>();
    error = made->socket.adopt(fd);
    if (error != 0) break;
    made->options_set = true;
    made->address = made->socket.local();
    made->set_name(kind.name);
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
  auto made = std::make_shared<impl>();
  if (int error = made->socket.try_adopt(fd)) {
    return std::unexpected(error_of("listen", failure::of(error)));
  }
  made->address = at;
  made->set_name(at.family() == AF_UNIX ? "unix" : "tcp");
  return listener(std::move(made));
}

result<conn> listener::accept() const {
  std::int64_t pause_ns = shortage_pause_min_ns;
  for (;;) {
    failure why;
    int fd = impl_->socket.repeat(wait::direction::read, why, [](int listening) {
      return accept4(listening, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    });
    if (fd >= 0) {
      auto made = std::make_shared<stream_socket>(impl_->name);
      if (int error = made->adopt(fd, impl_->options_set)) {
        return std::unexpected(error_of("accept", *impl_->name, failure::of(error)));
      }
      return conn(std::move(made));
    }
    if (is_of_the_connection(why)) continue;
    if (is_shortage(why)) {
      impl_->tell(why.number);
      why = impl_->socket.pause(wait::direction::read, platform::nanotime() + pause_ns);
      pause_ns = std::min(2 * pause_ns, shortage_pause_max_ns);
      if (!why) continue;
    }
    return std::unexpected(error_of("accept", *impl_->name, why));
  }
}

endpoint listener::addr() const { return impl_->address; }
void listener::close() const { impl_->close(); }
void listener::set_unlink_on_close(bool on) const {
  impl_->owns_path.store(on, std::memory_order_relaxed);
}
int listener::fd() const noexcept { return impl_->socket.fd(); }
void listener::set_deadline(time_point when) const {
  impl_->socket.set_deadline(wait::direction::read, nanotime_of(when));
}

}  // namespace runnel::net
