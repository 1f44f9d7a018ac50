#pragma once
// A request, as its handler sees it.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/context.h"
#include "runnel/http/headers.h"
#include "runnel/net/endpoint.h"
#include "runnel/net/error.h"

namespace runnel::http {

namespace detail {

// Where a request comes from: a connection of some version of HTTP.
class request_source {
 public:
  virtual result<std::size_t> read_body(std::span<char> into) = 0;
  // The whole body, if it lies in memory already, or can be put there without being copied.
  virtual std::optional<std::string_view> body_at_hand() = 0;
  virtual const headers& trailers() const = 0;
  virtual context request_context() = 0;
  virtual net::endpoint remote() const = 0;

 protected:
  ~request_source() = default;
};

}  // namespace detail

// Valid until the handler returns, as are all views that it gives. One goroutine at a time.
class request {
 public:
  // "GET", as it was sent: methods are case-sensitive, and any token may come.
  std::string_view method() const noexcept { return method_; }
  // As it was sent: "/a%20b?c=d".
  std::string_view target() const noexcept { return target_; }
  // Without the query, decoded: "/a b". "*" of OPTIONS, "" of CONNECT.
  std::string_view path() const noexcept { return path_; }
  // The same as it was sent.
  std::string_view raw_path() const noexcept { return raw_path_; }
  std::string_view raw_query() const noexcept { return query_; }
  // "example.org:8080"; "" is possible with HTTP/1.0.
  std::string_view host() const noexcept { return host_; }
  // "HTTP/1.1", "HTTP/2.0"
  std::string_view proto() const noexcept;
  int version_major() const noexcept { return major_; }
  int version_minor() const noexcept { return minor_; }

  // The first value of a parameter, decoded; "" where there is none.
  std::string query(std::string_view name) const;
  bool has_query(std::string_view name) const;
  // What a wildcard of the pattern stands for, decoded; "" where there is none of that name.
  std::string path_value(std::string_view wildcard) const;
  // The pattern that was chosen, "" if none.
  std::string_view pattern() const noexcept { return pattern_; }

  // The first value of a field; "" where there is none.
  std::string_view header(std::string_view name) const noexcept;
  std::span<const field> headers() const noexcept { return fields_; }

  // The body's; 0 also where there is none; nothing: it is known at its end only (chunked).
  std::optional<std::uint64_t> content_length() const noexcept { return content_length_; }
  // The whole body, or what read() has left of it; waits until all of it has come. The same again and again. Throws
  // status_error: 413 if it is over the limit, 400 if it is malformed or ends early, 408 if it does not come in time; out of the
  // handler that is the answer.
  std::string_view body();
  // The next bytes of the body, as soon as there are any; 0: the end. The first read answers "Expect: 100-continue". Errors:
  // errc::too_large, malformed, ended_early; std::errc::timed_out; those of the network. What a handler leaves unread is thrown
  // away, or the connection closed if it is much.
  result<std::size_t> read(std::span<char> into);
  // What was sent behind a body in chunks. Known at its end; until then empty.
  const http::headers& trailers() const { return source_->trailers(); }

  // Cancelled when the client goes away, which is noticed once the body has been read, or an answer cannot be sent; when the
  // server is closed; when the handler returns.
  context ctx() const { return source_->request_context(); }
  // The other end of the connection: the client, or a proxy in front.
  net::endpoint remote() const { return source_->remote(); }

 private:
  friend class mux;
  friend struct request_access;

  std::string_view method_;
  std::string_view target_;
  std::string_view raw_path_;
  std::string_view path_;
  std::string_view query_;
  std::string_view host_;
  std::string_view pattern_;
  int major_ = 1;
  int minor_ = 1;
  std::span<const field> fields_;
  std::optional<std::uint64_t> content_length_;
  std::vector<field> path_values_;  // as they were sent
  std::string decoded_path_;
  std::string body_;
  bool body_read_ = false;
  std::string_view body_view_;
  detail::request_source* source_ = nullptr;
};

}  // namespace runnel::http
