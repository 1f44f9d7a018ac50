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

// A handle, cheap to copy; the last one closes the listener. All members from any thread.
class listener {
 public:
  listener() noexcept = default;
  explicit operator bool() const noexcept { return impl_ != nullptr; }

  // The next connection. errc::closed once the listener is closed. When descriptors or memory run out, it says so on
  // standard error, once a minute at most, and tries again, ever less often: nobody in the backlog is lost.
  result<conn> accept() const;

  // With the port that was chosen, if it was 0.
  endpoint addr() const;

  // Those who wait in accept get errc::closed. A Unix socket's path is removed.
  void close() const;
  // Unless the socket has been handed to another process, which goes on using the path.
  void set_unlink_on_close(bool on) const;

  // From then on accept fails with errc::timed_out; time_point::max(): never.
  void set_deadline(time_point when) const;

  int fd() const noexcept;

  // Of a socket that listens already, as from systemd or a process before this one; owned from then on, if it succeeds.
  static result<listener> from_fd(int fd);

  struct impl;

 private:
  friend result<listener> listen(std::string_view, std::string_view, listen_options);
  explicit listener(std::shared_ptr<impl> i) noexcept : impl_(std::move(i)) {}
  std::shared_ptr<impl> impl_;
};

// network: "tcp" (both versions of IP where the host is empty), "tcp4", "tcp6" or "unix". address: ":8080",
// "127.0.0.1:0", "[::1]:http", "localhost:80", "/run/a.sock", "@abstract". Of a name's addresses the first that can be listened
// at is taken, IPv4 first.
result<listener> listen(std::string_view network, std::string_view address,
                        listen_options how = {});

}  // namespace runnel::net
