#pragma once
// Datagrams: UDP and Unix.

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "runnel/net/endpoint.h"
#include "runnel/net/error.h"
#include "runnel/time.h"

namespace runnel::net {

// A socket that is bound and talks with many. A handle, cheap to copy; the last one closes the socket. Default constructed, it
// has none, and only bool may be asked of it. All members from any thread, by any number at a time; who has to wait parks its
// goroutine, a plain thread blocks. Once closed, all fail with net::errc::closed, also those who wait.
class packet_conn {
 public:
  struct received {
    std::size_t size = 0;    // 0: a datagram without contents
    endpoint from;           // none: a Unix socket without a name
    bool truncated = false;  // it was longer than the room for it, and the rest is lost
  };

  packet_conn() noexcept = default;
  explicit operator bool() const noexcept { return impl_ != nullptr; }

  // Waits for the next datagram. There is no end; errc::timed_out: the deadline has passed.
  result<received> read_from(std::span<std::byte> into) const;
  // One datagram, whole or not at all; returns its size. Waits while the socket's buffer is full. That it was sent does not
  // say that it arrives. std::errc::message_size: too large for one; the kernel's errors besides.
  result<std::size_t> write_to(std::span<const std::byte> what, const endpoint& to) const;

  // With the port that was chosen, if it was 0. None once closed.
  endpoint local() const;
  // Removes a Unix socket's path. Of no effect once closed.
  void close() const;
  // As of conn.
  void set_deadline(time_point when) const;
  void set_read_deadline(time_point when) const;
  void set_write_deadline(time_point when) const;
  // The socket, which must not be closed or made blocking; -1 once closed.
  int fd() const noexcept;

  struct impl;

 private:
  friend result<packet_conn> listen_packet(std::string_view, std::string_view);
  explicit packet_conn(std::shared_ptr<impl> i) noexcept : impl_(std::move(i)) {}
  std::shared_ptr<impl> impl_;
};

// network: "udp", "udp4", "udp6" or "unixgram"; address and errors as of listen. "127.0.0.1:0" for a client.
result<packet_conn> listen_packet(std::string_view network, std::string_view address);

}  // namespace runnel::net
