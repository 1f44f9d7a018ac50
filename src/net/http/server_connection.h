#pragma once
// One connection of a server: its requests, one after another, on one goroutine.
//
// State: fresh (no request yet), idle (between requests), active. Written by its goroutine only.
// The watcher is a second goroutine, there only while a handler that asked for its context runs and the body has been read: it reads
// on, to learn that the client goes away. While it is there, nobody else touches the input.

#include <atomic>
#include <optional>
#include <tuple>

#include "net/http/access.h"
#include "net/http/body_reader.h"
#include "net/http/head_parser.h"
#include "net/http/input.h"
#include "net/http/server_core.h"
#include "net/http/text.h"
#include "runnel/sync/wait_group.h"

namespace runnel::http {

class server_connection final : public served_connection,
                                public detail::request_source,
                                public detail::response_sink {
 public:
  server_connection(server_core& server, net::conn c) noexcept
      : server_(server), conn_(std::move(c)), in_(conn_) {}
  // preface: the client wants HTTP/2, and nothing was answered. Otherwise the connection is closed.
  enum class ending { closed, preface };
  ending run();
  std::string_view unread() const noexcept { return in_.pending(); }

  // One without a request shall go.
  void drain_locked() noexcept override;
  void close() noexcept override { std::ignore = conn_.close(); }

 private:
  enum class state { fresh, idle, active };

  bool wait_for_request();
  bool read_head();
  void serve_one();
  void call_handler();
  void reject(int status);
  bool finish_body();
  void linger();

  // request_source
  result<std::size_t> read_body(std::span<char> into) override;
  std::optional<std::string_view> body_at_hand() override;
  const headers& trailers() const override { return body_.trailers(); }
  context request_context() override;
  net::endpoint remote() const override { return conn_.remote(); }
  // response_sink
  std::error_code send_head(const response& head, std::optional<std::uint64_t> length,
                            std::string_view body, bool last) override;
  std::error_code send_data(std::string_view body) override;
  std::error_code send_file(int fd, std::uint64_t offset, std::uint64_t count) override;
  std::error_code send_end(const headers& trailers) override;

  void write_fields(const response& head, bool with_body, std::optional<std::uint64_t> length);
  void frame_body(bool with_body, std::optional<std::uint64_t> length);
  std::string_view date();
  std::error_code write(std::span<const std::string_view> parts);
  void before_write();
  void read_by(time_point when) noexcept;
  void read_within(duration limit) noexcept;
  void begin_body_read();
  void watch();
  void stop_watching();

  server_core& server_;
  const net::conn conn_;
  input in_;
  body_reader body_{in_};
  message_head head_;
  request req_;
  response res_;
  std::string out_;
  std::atomic<state> state_{state::fresh};
  bool first_ = true;     // request
  bool preface_ = false;  // came instead of it
  bool close_ = false;    // after this request
  bool broken_ = false;   // nothing can be written any more
  bool continue_asked_ = false;
  bool body_timed_ = false;  // the deadline of the whole request is set
  bool chunked_ = false;     // the answer
  bool silent_ = false;      // HEAD, or a status without a body
  std::optional<std::uint64_t> length_left_;
  time_point request_began_{};
  time_point read_deadline_ = time_point::max();
  time_point write_deadline_ = time_point::max();
  std::time_t date_of_ = -1;
  char date_[date_size + 1];
  std::optional<cancellable<cancel_func>> ctx_;
  bool watching_ = false;
  wait_group watcher_;
};

}  // namespace runnel::http
