#pragma once
// TLS over another stream.
//
// OpenSSL works on memory: what has come from the network is put into it, what is to be sent is taken out. The SSL object is
// not safe for threads and has a lock, which nobody holds while waiting for the network. Who has to wait for bytes takes
// turns at reading the network; likewise at writing it.
//
// Invariants
//   ssl_ is used, or its errors are read      =>  by the holder of state_, who enters the runtime only afterwards: errors are
//                                                 kept by thread
//   bytes are in outgoing_                    =>  somebody holds, or is about to take, sending_; in the order in which OpenSSL
//                                                 made them they go out
//   a goroutine waits for the network         =>  it holds receiving_ or sending_ (or writing_), not state_
// Lock order: writing_ -> sending_ -> state_; receiving_ -> state_. Who only answers the other end, as a reader, does not
// wait for sending_: its holder sends for it, and two ends that both write cannot wait for each other.

#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "net/stream_socket.h"
#include "runnel/net/conn.h"
#include "runnel/sync/mutex.h"
#include "tls/context.h"

namespace runnel::net {

class tls_stream final : public detail::stream {
 public:
  tls_stream(conn over, std::shared_ptr<const tls_context::impl> how, openssl_ptr<SSL> ssl);
  ~tls_stream() override { std::ignore = close(); }

  std::error_code handshake();

  result<std::size_t> read(std::span<std::byte> into) override;
  result<std::size_t> write(std::span<const std::span<const std::byte>> parts) override;
  result<std::uint64_t> send_file(int fd, std::uint64_t offset, std::uint64_t count) override {
    return copy_file(*this, name_, fd, offset, count);
  }
  std::error_code close_write() override;
  std::error_code close() override;
  void set_read_deadline(std::int64_t when) override { over().set_read_deadline(when); }
  void set_write_deadline(std::int64_t when) override { over().set_write_deadline(when); }
  endpoint local() const override { return over_.local(); }
  endpoint remote() const override { return over_.remote(); }
  int fd() const noexcept override { return over_.fd(); }
  std::string_view protocol() const noexcept override { return protocol_; }
  std::error_code set_option(int level, int option, int value) override {
    return over().set_option(level, option, value);
  }

  tls_state state();

 private:
  detail::stream& over() const noexcept { return *over_.impl(); }

  // What a call of OpenSSL has come to.
  struct step {
    std::size_t done = 0;
    bool at_end = false;       // the other end has closed
    bool wants_bytes = false;  // from the network
    std::uint64_t seen = 0;    // how often bytes had come before
    std::error_code failed;
  };
  // Calls it under state_. `call` returns as SSL_read_ex, with the number in its argument.
  template <class Call>
  step work(Call call);
  std::error_code why_failed_locked(int openssl_error);

  std::error_code receive(std::uint64_t seen);
  enum class patience { waits_for_turn, leaves_it };
  std::error_code send_outgoing(patience how);
  std::error_code send_all();
  bool has_outgoing();
  std::error_code write_record(std::span<const std::byte> record);

  const conn over_;
  const std::shared_ptr<const tls_context::impl> how_;
  std::string name_;      // for messages: the other end
  std::string protocol_;  // set by the handshake

  mutex writing_;    // whole writes
  mutex sending_;    // to the network
  mutex receiving_;  // from the network
  mutex state_;      // all below
  openssl_ptr<SSL> ssl_;
  BIO* incoming_ = nullptr;  // ssl_'s
  BIO* outgoing_ = nullptr;
  std::uint64_t received_ = 0;
  std::error_code send_error_;  // once for all: what was made cannot be made anew
  std::error_code failed_;      // OpenSSL is not to be called after a fatal error
  bool closed_ = false;
  bool write_closed_ = false;
};

}  // namespace runnel::net
