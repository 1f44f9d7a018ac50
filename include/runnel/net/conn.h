#pragma once
// Connections that carry a stream of bytes: TCP, Unix, TLS.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "runnel/net/endpoint.h"
#include "runnel/net/error.h"
#include "runnel/time.h"

namespace runnel::net {

namespace detail {

// What a connection can do; conn explains.
class stream {
 public:
  virtual ~stream() = default;
  virtual result<std::size_t> read(std::span<std::byte> into) = 0;
  virtual result<std::size_t> write(std::span<const std::span<const std::byte>> parts) = 0;
  virtual result<std::uint64_t> send_file(int fd, std::uint64_t offset, std::uint64_t count) = 0;
  virtual std::error_code close_write() = 0;
  virtual std::error_code close() = 0;
  virtual void set_read_deadline(std::int64_t when) = 0;
  virtual void set_write_deadline(std::int64_t when) = 0;
  virtual endpoint local() const = 0;
  virtual endpoint remote() const = 0;
  virtual int fd() const noexcept = 0;
  virtual std::string_view protocol() const noexcept { return {}; }
  // Of the socket: setsockopt with an int.
  virtual std::error_code set_option(int level, int option, int value);
};

}  // namespace detail

// A handle, cheap to copy; the last one closes the connection. Default constructed, it has none, and only bool may be asked
// of it. All members may be called from any thread and by several at a time; one read and one write at a time make sense, as
// the pieces of two would mix. Who has to wait parks its goroutine; a plain thread blocks, and needs no run to be under way.
//
//                 open                       deadline passed   other end gone            closed
//   read          bytes, or waits            errc::timed_out   what it sent; then 0, or  errc::closed
//                                                              connection_reset
//   write         all of it, waits for room  errc::timed_out   broken_pipe, or           errc::closed
//                                                              connection_reset
//   close_write   done                       done              done, or not_connected    errc::closed
//   local/remote  the address                the address       the address, or none      none
//
// Names without errc are of std::errc. There is never a SIGPIPE.
//
// Messages of errors name the address that the program knows: "read tcp 127.0.0.1:80: …" is where it dialed, or listens.
class conn {
 public:
  conn() noexcept = default;
  explicit conn(std::shared_ptr<detail::stream> stream) noexcept : stream_(std::move(stream)) {}
  explicit operator bool() const noexcept { return stream_ != nullptr; }

  // At least one byte, as soon as there are any; 0: the end of the stream, or no room in `into`.
  result<std::size_t> read(std::span<std::byte> into) const { return stream_->read(into); }
  result<std::size_t> read(std::span<char> into) const {
    return read(std::as_writable_bytes(into));
  }
  // Until `into` is full; less: the end of the stream came first. An error: how much has come by then is not told.
  result<std::size_t> read_full(std::span<std::byte> into) const;

  // All of it, or an error: then an unknown part of it was sent.
  result<std::size_t> write(std::span<const std::byte> what) const {
    return write_parts({&what, 1});
  }
  result<std::size_t> write(std::string_view what) const {
    return write(std::as_bytes(std::span(what)));
  }
  // Several parts, one after another, with as few system calls as it takes. Returns the sum.
  result<std::size_t> write_parts(std::span<const std::span<const std::byte>> parts) const {
    return stream_->write(parts);
  }
  // `count` bytes of a file from `offset` on, through the kernel where that is possible. fd is open for reading, stays the
  // caller's, and its position where it is. Less than count: the file's end. An error: an unknown part was sent.
  result<std::uint64_t> send_file(int fd, std::uint64_t offset, std::uint64_t count) const {
    return stream_->send_file(fd, offset, count);
  }

  // No more will be written: the other end reads 0 after what was.
  std::error_code close_write() const { return stream_->close_write(); }
  // Does not wait: what was written before is sent yet, unless bytes lie unread; then the other end finds a reset. Those who
  // wait get errc::closed, as does every later call, this one too.
  std::error_code close() const { return stream_->close(); }

  // From then on reads, writes or both fail with errc::timed_out, also those under way, until it is moved. A read that fails so
  // has lost nothing. Of std::chrono::steady_clock. In the past: at once; time_point::max(), as at first: never. May be moved at
  // any time.
  void set_deadline(time_point when) const;
  void set_read_deadline(time_point when) const;
  void set_write_deadline(time_point when) const;

  endpoint local() const { return stream_->local(); }
  endpoint remote() const { return stream_->remote(); }
  // The socket, which must not be closed or made blocking; -1 once closed. It may be closed by others at any time.
  int fd() const noexcept { return stream_->fd(); }

  // What both ends have agreed to speak, by TLS's ALPN: "h2"; "": nothing. As long as the connection exists.
  std::string_view protocol() const noexcept { return stream_->protocol(); }

  // TCP alone, others: std::errc::operation_not_supported. Whether small writes are sent at once (the default), and after what
  // silence, in whole seconds, the other end is asked whether it is still there (15 s by default; zero: never).
  std::error_code set_no_delay(bool on) const;
  std::error_code set_keep_alive(duration silence) const;

  // For layers on top, as TLS.
  const std::shared_ptr<detail::stream>& impl() const noexcept { return stream_; }

 private:
  std::shared_ptr<detail::stream> stream_;
};

}  // namespace runnel::net
