#pragma once
// Errors of HTTP.

#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace runnel::http {

enum class errc {
  server_closed = 1,   // shutdown or close was called
  malformed,           // not HTTP/1.1, or not as strictly as it has to be
  too_large,           // a head or a body over the limit
  ended_early,         // the stream ended within a message
  content_length,      // a handler wrote more than the Content-Length that it announced
  bad_url,             // no URL, or one of a scheme that is not supported
  too_many_redirects,  // more than the client follows
  stream_reset,        // HTTP/2: the other end has given up this request or answer
  going_away,  // HTTP/2: the other end has closed the connection, or this end has, for what it sent
};
const std::error_category& error_category() noexcept;
inline std::error_code make_error_code(errc e) noexcept {
  return {static_cast<int>(e), error_category()};
}

// Thrown out of a handler: the answer is this status and the text, unless something was sent already. request::body() throws
// it for a body over the limit (413), a malformed one (400) and one that does not come in time (408). No text: "404 Not Found".
// If something was sent already, the connection is closed, so that the client sees that it was not all.
class status_error : public std::runtime_error {
 public:
  explicit status_error(int status, const std::string& text = {})
      : std::runtime_error(text), status_(status) {}
  int status() const noexcept { return status_; }

 private:
  int status_;
};

// Thrown out of a handler: the connection is closed, and nothing logged (Go's ErrAbortHandler). For an answer that cannot be
// finished: its client sees that it ended early.
struct abort_handler {};

// "Not Found" for 404; "" if it is unknown.
std::string_view status_text(int status) noexcept;

}  // namespace runnel::http

template <>
struct std::is_error_code_enum<runnel::http::errc> : std::true_type {};
