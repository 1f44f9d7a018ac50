#pragma once
// A connected TCP or Unix socket as a conn.

#include <cstring>
#include <memory>
#include <string>

#include "net/socket.h"
#include "runnel/net/conn.h"

namespace runnel::net {

// What every TCP connection has: no delay, and keep-alive. One that is accepted has what its listener had when it came in.
void set_usual_options(int fd) noexcept;

class stream_socket final : public detail::stream {
 public:
  // name: for messages, the network and the address that the program knows: "tcp 127.0.0.1:80".
  explicit stream_socket(std::shared_ptr<const std::string> name) noexcept
      : name_(std::move(name)), tcp_(name_->starts_with("tcp")) {}
  // As socket::adopt. Sets what every connection has, unless it has that from its listener.
  int adopt(int fd, bool is_set = false) noexcept;

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
  std::error_code set_option(int level, int option, int value) override;

  socket& raw() noexcept { return socket_; }

 private:
  std::error_code error(const char* operation, failure what) const noexcept {
    return error_of(operation, *name_, what);
  }

  const std::shared_ptr<const std::string> name_;
  const bool tcp_;
  mutable socket socket_;
};

// Bytes of a file through memory, for streams and files that the kernel does not connect. As send_file; failed: the
// reading of the file.
result<std::uint64_t> copy_file(detail::stream& to, std::string_view name, int file,
                                std::uint64_t offset, std::uint64_t count);

}  // namespace runnel::net
