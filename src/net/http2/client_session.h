#pragma once
// A client's connection of HTTP/2, and its requests. It lives as long as somebody uses it, or its reading goroutine runs: until the
// connection ends, or nobody has used it for the idle timeout, or it is retired and its last request is done.
//
// Whoever wants to send a request reserves a place first, so that no more are sent than the server takes.

#include <functional>
#include <memory>
#include <string>

#include "net/http/client_exchange.h"
#include "net/http2/session.h"
#include "net/http2/stream.h"

namespace runnel::http::h2 {

class client_session;
struct route;

class client_stream final : public stream {
 public:
  client_stream(session& of, std::size_t head_max) noexcept : stream(of), head_max_(head_max) {}

  void field_locked(std::string_view name, std::string_view value) override;
  void fields_end_locked(nghttp2_headers_category what, bool last) override;
  // The server has not looked at it, and never will.
  bool refused() const noexcept { return unsent || code == NGHTTP2_REFUSED_STREAM; }

  int status = 0;
  headers fields;
  headers trailers;
  bool answered = false;  // the head has come
  bool unsent = false;

 private:
  const std::size_t head_max_;
  std::size_t head_size_ = 0;
};

class client_session final : public session, public std::enable_shared_from_this<client_session> {
 public:
  // ended: called once it is of no more use, on its goroutine.
  static std::shared_ptr<client_session> start(const net::conn& c, const client_options& options,
                                               std::function<void(client_session&)> ended);
  client_session(const net::conn& c, const client_options& options);

  // False: it takes no more.
  bool reserve();
  void give_back();
  // With the place that was reserved. The stream is the caller's until release_locked.
  client_stream* open(const std::vector<nghttp2_nv>& fields, bool with_body);
  void cancel(std::int32_t id, std::error_code why);
  // Takes no more, and ends with its last request.
  void retire();
  // If nobody uses it.
  void retire_if_idle();

 private:
  stream* begins_locked(std::int32_t) override { return nullptr; }
  void closed_locked(stream& s) override;
  void dispose_locked(stream& s) noexcept override;
  void sent_locked(const nghttp2_frame&) override {}
  void unsent_locked(const nghttp2_frame& f) override;
  void came_locked(const nghttp2_frame& f) override;
  time_point look_locked(time_point now) override;
  void start_stream(stream&) override {}

  void end_if_unused_locked() noexcept;

  const duration idle_timeout_;
  const std::size_t head_max_;
  std::size_t reserved_ = 0;
  bool retired_ = false;
};

// One request over a session, in which a place is reserved, and its answer's head.
client_attempt exchange(const route& over, const context& ctx, const client_request& req,
                        const url& to, const client_options& options);

}  // namespace runnel::http::h2
