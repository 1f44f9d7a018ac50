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

// A handle, cheap to copy; the last one closes the socket. All members from any thread.
class packet_conn {
 public:
  struct received {
    std::size_t size = 0;
    endpoint from;
    bool truncated = false;  // it was longer than the room for it
  };

  packet_conn() noexcept = default;
  explicit operator bool() const noexcept { return impl_ != nullptr; }

  result<received> read_from(std::span<std::byte> into) const;
  result<std::size_t> write_to(std::span<const std::byte> what, const endpoint& to) const;

  endpoint local() const;
  void close() const;
  void set_deadline(time_point when) const;
  void set_read_deadline(time_point when) const;
  void set_write_deadline(time_point when) const;
  int fd() const noexcept;

  struct impl;

 private:
  friend result<packet_conn> listen_packet(std::string_view, std::string_view);
  explicit packet_conn(std::shared_ptr<impl> i) noexcept : impl_(std::move(i)) {}
  std::shared_ptr<impl> impl_;
};

// network: "udp", "udp4", "udp6" or "unixgram"; address as of listen.
result<packet_conn> listen_packet(std::string_view network, std::string_view address);

}  // namespace runnel::net
