#pragma once
// A connected TCP or Unix socket as a conn.

#include <cstring>
#include <memory>

#include "net/socket.h"
#include "runnel/net/conn.h"

namespace runnel::net {

class stream_socket final : public detail::stream {
 public:
  explicit stream_socket(const char* network) noexcept
      : network_(network), tcp_(std::strcmp(network, "tcp") == 0) {}
  // As socket::adopt; then sets what every connection has: for TCP no delay, and keep-alive.
  int adopt(int fd) noexcept;

  result<std::size_t> read(std::span<std::byte> into) override;
  result<std::size_t> write(std::span<const std::span<const std::byte>> parts) override;
  result<std::uint64_t> send_file(int fd, std::uint64_t offset, std::uint64_t count) override;
  std::error_code close_write() override;
  std::error_code close() override;
  void set_read_deadline(std::int64_t when) override {
    socket_.set_deadline(wait::direction::read, when);
  }
  void set_write_deadline(std::int64_t when) override {
    socket_.set_deadline(wait::direction::write, when);
  }
  endpoint local() const override { return socket_.local(); }
  endpoint remote() const override { return socket_.remote(); }
  int fd() const noexcept override { return socket_.fd(); }

  socket& raw() noexcept { return socket_; }

 private:
  std::error_code error(const char* operation, failure what) const noexcept;

  const char* const network_;  // "tcp", "unix"
  const bool tcp_;
  mutable socket socket_;
};

}  // namespace runnel::net
