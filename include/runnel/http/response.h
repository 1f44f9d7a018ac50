#pragma once
// The answer to a request.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "runnel/http/headers.h"

namespace runnel::http {

class response;

namespace detail {

// Where an answer goes: a connection of some version of HTTP.
class response_sink {
 public:
  // The head, with the first part of the body. length: of the whole body, if known; last: there is no more.
  virtual std::error_code send_head(const response& head, std::optional<std::uint64_t> length,
                                    std::string_view body, bool last) = 0;
  virtual std::error_code send_data(std::string_view body) = 0;
  virtual std::error_code send_file(int fd, std::uint64_t offset, std::uint64_t count) = 0;
  virtual std::error_code send_end(const headers& trailers) = 0;

 protected:
  ~response_sink() = default;
};

}  // namespace detail

// Changes a body on its way, as compression does.
class body_filter {
 public:
  virtual ~body_filter() = default;
  // Before the head is sent, which it may change; whole: the body, if all of it is there. False: leave it as it is.
  virtual bool begin(response& head, std::optional<std::string_view> whole) = 0;
  // Appends to out.
  virtual void write(std::string_view body, std::string& out) = 0;
  virtual void flush(std::string& out) = 0;
  virtual void finish(std::string& out) = 0;
};

// The head is sent with the first flush, when more was written than fits a small buffer, or when the handler returns. Then
// the length is known, if nothing was sent before; otherwise the body goes in chunks, unless Content-Length was set. How the
// body is framed, and Date where it is missing, is the server's matter; Content-Type, if it is not set, is said to be text or
// application/octet-stream, by the first bytes. Valid until the handler returns. One goroutine at a time.
class response {
 public:
  // 200 unless set; throws runtime_error for what is not from 200 to 999. Once the head has been sent these change nothing;
  // see head_sent().
  response& status(int code);
  // Replaces the fields of that name. Throws runtime_error for characters that may not be in a name or value.
  response& header(std::string_view name, std::string_view value);
  response& add_header(std::string_view name, std::string_view value);
  response& remove_header(std::string_view name);
  // What was set so far.
  int status() const noexcept { return status_; }
  std::string_view header(std::string_view name) const noexcept;
  bool head_sent() const noexcept { return head_sent_; }

  // Waits while the client does not take what was sent before. An error: it has gone away, or took nothing for write_timeout;
  // for good: what is written later is dropped, with the same error. errc::content_length: more than was announced. For
  // HEAD, 204 and 304 the body is not sent.
  std::error_code write(std::string_view body);
  // `count` bytes of a file from `offset` on, which the kernel sends where it can. Errors as of write; errc::ended_early: the
  // file is shorter. fd stays the caller's.
  std::error_code write_file(int fd, std::uint64_t offset, std::uint64_t count);
  // Sends what was written so far.
  std::error_code flush();
  // After the body; makes it go in chunks. May be called until the handler returns, but for the first time before the head
  // is sent. Not for clients of HTTP/1.0.
  response& trailer(std::string_view name, std::string_view value);

  // A status with a line of text, instead of what was written so far; without a text "404 Not Found". Nothing once the head has
  // been sent.
  void error(int code, std::string_view text = {});
  // Location, with a status of 3xx. `to` as it shall be sent.
  void redirect(std::string_view to, int code = 302);

  // The body goes through it. Replaces one that was set before; nothing once the head has been sent.
  void filter(std::unique_ptr<body_filter> f);

 private:
  friend struct response_access;

  struct entry {
    std::uint32_t at;
    std::uint32_t name_size;
    std::uint32_t value_size;
  };
  std::string_view name_of(const entry& e) const noexcept {
    return std::string_view(text_).substr(e.at, e.name_size);
  }
  std::string_view value_of(const entry& e) const noexcept {
    return std::string_view(text_).substr(e.at + e.name_size, e.value_size);
  }
  std::error_code send_head(std::string_view more, bool last);
  std::error_code pass(std::string_view body);
  std::error_code finish();
  void reset(detail::response_sink* sink) noexcept;

  int status_ = 200;
  bool head_sent_ = false;
  bool filtering_ = false;
  std::string text_;  // of all fields
  std::vector<entry> entries_;
  std::string buffer_;  // the beginning of the body
  headers trailers_;
  bool has_trailers_ = false;
  std::unique_ptr<body_filter> filter_;
  std::error_code failed_;
  detail::response_sink* sink_ = nullptr;
};

}  // namespace runnel::http
