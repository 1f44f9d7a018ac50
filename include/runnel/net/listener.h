#pragma once
// Accepting connections.

#include <memory>
#include <string_view>

#include "runnel/net/conn.h"

namespace runnel::net {

struct listen_options {
  int backlog = 0;          // 0: the kernel's limit, net.core.somaxconn
  bool reuse_port = false;  // several listeners, of several processes, share the port
};

// A handle, cheap to copy; the last one closes the listener. Default constructed, it has none, and only bool may be asked of
// it. All members from any thread, by any number at a time.
class listener {
 public:
  listener() noexcept = default;
  explicit operator bool() const noexcept { return impl_ != nullptr; }

  // Waits for the next connection: a goroutine parks, a plain thread blocks. errc::closed once the listener is closed,
  // errc::timed_out once its deadline has passed. When descriptors or memory run out, it says so on standard error, once a
  // minute at most, and tries again, ever less often: nobody in the backlog is lost. Connections that ended before they were
  // accepted are passed over.
  result<conn> accept() const;

  // Where it listens, with the port that was chosen, if it was 0. Also once closed.
  endpoint addr() const;

  // Those who wait in accept get errc::closed; clients in the backlog find a reset. A Unix socket's path is removed. Of no
  // effect once closed.
  void close() const;
  // False: close leaves the path of a Unix socket, as another process has been handed the socket and goes on using it.
  void set_unlink_on_close(bool on) const;

  // From then on accept fails with errc::timed_out, also where it waits, until it is moved. Of std::chrono::steady_clock;
  // time_point::max(), as at first: never.
  void set_deadline(time_point when) const;

  // The socket, to be handed to another process, say: not to be closed or made blocking; closed in programs that are started
  // (FD_CLOEXEC) unless duplicated. -1 once closed.
  int fd() const noexcept;

  // Of a socket that listens already, TCP or Unix, as from systemd or a process before this one. It is made non-blocking and
  // FD_CLOEXEC, and owned from then on; if it fails, it stays the caller's. std::errc::invalid_argument: it does not listen.
  // Its path is nobody's to remove.
  static result<listener> from_fd(int fd);

  struct impl;

 private:
  friend result<listener> listen(std::string_view, std::string_view, listen_options);
  explicit listener(std::shared_ptr<impl> i) noexcept : impl_(std::move(i)) {}
  std::shared_ptr<impl> impl_;
};

// network: "tcp" (both versions of IP where the host is empty), "tcp4", "tcp6" or "unix". address: ":8080",
// "127.0.0.1:0", "[::1]:http", "localhost:80", "/run/a.sock", "@abstract". Of a name's addresses the first that can be listened
// at is taken, IPv4 first. A port of which connections linger can be listened at again at once; a path that exists cannot, even
// if its owner is gone: std::errc::address_in_use. Errors besides: those of dial for names, and the kernel's. Any thread.
result<listener> listen(std::string_view network, std::string_view address,
                        listen_options how = {});

}  // namespace runnel::net
