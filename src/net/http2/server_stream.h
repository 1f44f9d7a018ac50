#pragma once
// A request that came by HTTP/2, and its answer.
//
// Its memory is used again for another one: on the way of a small request little is allocated.

#include <optional>
#include <string>

#include "net/http/access.h"
#include "net/http/head_parser.h"
#include "net/http/server_core.h"
#include "net/http2/stream.h"

namespace runnel::http::h2 {

class server_session;

class server_stream final : public stream,
                            public detail::request_source,
                            public detail::response_sink {
 public:
  explicit server_stream(server_session& of) noexcept;
  // For another request.
  void clear_locked() noexcept;

  // Its handler's goroutine: from the head to the end of the answer.
  void serve();

  bool begun = false;                // the handler has been started, or is about to be
  server_stream* waiting = nullptr;  // the next of those who wait to begin

 private:
  struct part {
    std::size_t at = 0;
    std::size_t size = 0;
  };
  struct pair {
    part name;
    part value;
  };
  std::string_view text_of(part p) const noexcept {
    return std::string_view(text_).substr(p.at, p.size);
  }
  part keep(std::string_view text);

  // stream
  void fields_begin_locked(nghttp2_headers_category what) override;
  void field_locked(std::string_view name, std::string_view value) override;
  void fields_end_locked(nghttp2_headers_category what, bool last) override;
  void failed_locked() noexcept override;
  // request_source
  result<std::size_t> read_body(std::span<char> into) override;
  std::optional<std::string_view> body_at_hand() override;
  const headers& trailers() const override { return trailers_; }
  context request_context() override;
  net::endpoint remote() const override;
  // response_sink
  std::error_code send_head(const response& head, std::optional<std::uint64_t> length,
                            std::string_view body, bool last) override;
  std::error_code send_data(std::string_view body) override;
  std::error_code send_file(int fd, std::uint64_t offset, std::uint64_t count) override;
  std::error_code send_end(const headers& trailers) override;

  void take_pseudo(std::string_view name, std::string_view value);
  bool describe();
  void answer();
  std::error_code begin_read_locked();
  void show_trailers_locked();
  void ended_locked();
  std::error_code cut_off_locked(std::error_code why) noexcept;

  server_session& session_;
  std::string text_;  // of all fields
  std::vector<pair> pairs_;
  part method_, path_, authority_;
  std::size_t cookies_ = 0;
  std::string cookie_;
  std::size_t head_size_ = 0;
  bool head_complete_ = false;
  bool refused_ = false;   // its head is too large: answered without a handler
  bool bodiless_ = false;  // it ended with its head
  message_head head_;
  request req_;
  response res_;
  headers arriving_trailers_;
  headers trailers_;
  time_point began_{};
  std::uint64_t received_ = 0;
  std::string body_;  // all of it
  bool continue_asked_ = false;
  bool silent_ = false;  // HEAD, or a status without a body
  std::optional<std::uint64_t> length_left_;
  std::vector<nghttp2_nv> out_fields_;
  std::optional<cancellable<cancel_func>> ctx_;
};

}  // namespace runnel::http::h2
