#include "net/http2/server_stream.h"

#include <unistd.h>

#include <algorithm>
#include <tuple>

#include "net/http/text.h"
#include "net/http2/server_session.h"
#include "runnel/http/error.h"

namespace runnel::http::h2 {
namespace {

constexpr std::size_t fields_max = 256;
constexpr std::size_t kept_max = 8 << 10;  // memory that is kept for another request

time_point now() noexcept { return std::chrono::steady_clock::now(); }

// One string used for several requests.
void clear(std::string& text) noexcept {
  if (text.capacity() > kept_max) text = {};
  text.clear();
}

}  // namespace

server_stream::server_stream(server_session& of) noexcept : stream(of), session_(of) {}

void server_stream::clear_locked() noexcept {
  stream::clear_locked();
  begun = false;
  waiting = nullptr;
  for (std::string* one : {&text_, &cookie_, &body_}) clear(*one);
  pairs_.clear();
  method_ = path_ = authority_ = {};
  cookies_ = head_size_ = 0;
  refused_ = head_complete_ = bodiless_ = false;
  arriving_trailers_.clear();
  trailers_.clear();
  received_ = 0;
  continue_asked_ = silent_ = false;
  length_left_.reset();
  ctx_.reset();
}

server_stream::part server_stream::keep(std::string_view text) {
  part p{text_.size(), text.size()};
  text_.append(text);
  return p;
}

void server_stream::fields_begin_locked(nghttp2_headers_category what) {
  if (what == NGHTTP2_HCAT_REQUEST) began_ = now();
}

void server_stream::take_pseudo(std::string_view name, std::string_view value) {
  if (name == ":method") method_ = keep(value);
  if (name == ":path") path_ = keep(value);
  if (name == ":authority") authority_ = keep(value);
}

void server_stream::field_locked(std::string_view name, std::string_view value) {
  // As HPACK counts (RFC 7541, 4.1).
  constexpr std::size_t overhead = 32;
  head_size_ += name.size() + value.size() + overhead;
  std::size_t limit = session_.server().options.max_header_bytes;
  if (head_size_ > limit || pairs_.size() == fields_max) {
    // What is too much is answered, unless it is brazen, or the answer may be under way.
    constexpr std::size_t brazen = 4;
    refused_ |= !head_complete_;
    if ((head_complete_ || head_size_ > brazen * limit + kept_max) && !why) {
      session_.reset_locked(*this, NGHTTP2_ENHANCE_YOUR_CALM, errc::too_large);
      reset_here = false;  // it counts
      session_.head_refused_locked();
    }
    return;
  }
  if (head_complete_) {
    // Trailers: how the message is framed they cannot say any more.
    if (name != "content-length" && name != "host") arriving_trailers_.add(name, value);
    return;
  }
  if (name.starts_with(':')) return take_pseudo(name, value);
  if (name == "cookie") {
    // May come in several pieces (RFC 9113, 8.2.3); handlers know one.
    if (cookies_++ != 0) cookie_.append("; ");
    cookie_.append(value);
    return;
  }
  part n = keep(name);
  pairs_.push_back({n, keep(value)});
}

void server_stream::fields_end_locked(nghttp2_headers_category what, bool last) {
  if (what != NGHTTP2_HCAT_REQUEST) return;
  head_complete_ = true;
  if (last) bodiless_ = true;
  if (!why) session_.head_complete_locked(*this);
}

// False: it is malformed where nghttp2 does not look.
bool server_stream::describe() {
  message_head& h = head_;
  h.major = 2;
  h.minor = 0;
  h.method = text_of(method_);
  h.host = text_of(authority_);
  h.target = h.method == "CONNECT" ? h.host : text_of(path_);
  h.content_length.reset();
  h.expect_continue = false;
  h.fields.clear();
  bool hosted = false;
  for (const pair& p : pairs_) {
    field f{text_of(p.name), trim(text_of(p.value))};
    if (!is_token(f.name) || !is_field_value(f.value)) return false;
    if (f.name == "host") {
      // One that says something else is for somebody else.
      if (hosted || (!h.host.empty() && h.host != f.value)) return false;
      hosted = true;
      h.host = f.value;
    } else if (f.name == "content-length") {
      h.content_length = parse_decimal(f.value);
      if (!h.content_length) return false;
    } else if (f.name == "expect") {
      h.expect_continue = same_name(f.value, "100-continue");
    }
    h.fields.push_back(f);
  }
  if (bodiless_) h.content_length = 0;
  if (!hosted) h.fields.push_back({"host", h.host});
  if (cookies_ != 0) h.fields.push_back({"cookie", cookie_});
  if (h.host.empty() || !is_host(h.host)) return false;
  for (char c : h.target) {
    if (c <= 0x20 || c >= 0x7f) return false;
  }
  continue_asked_ = h.expect_continue;
  return request_access::describe(req_, h, this);
}

void server_stream::serve() {
  response_access::reset(res_, this);
  // Also when the handler ends its goroutine.
  struct ending {
    server_stream& self;
    ~ending() {
      session::entry e(self.session_);
      self.ended_locked();
    }
  } until_end{*this};
  answer();
}

void server_stream::answer() {
  if (refused_) {
    res_.error(static_cast<int>(fault::fields_too_large));
  } else if (!describe()) {
    res_.error(static_cast<int>(fault::bad_request));
  } else if (!session_.server().answer(req_, res_, this)) {
    return;  // without its end it is reset
  }
  std::ignore = response_access::finish(res_);
}

void server_stream::ended_locked() {
  if (ctx_) session_.cancel_later_locked(ctx_->cancel);
  ctx_.reset();
  // All that was announced, though the handler wanted more; otherwise it must not look complete.
  if (length_left_ == 0u && !why) end_output_locked(nullptr);
  if (!output_ended && !why) {
    session_.reset_locked(*this, NGHTTP2_INTERNAL_ERROR, errc::ended_early);
  }
  discard_input_locked();
  duration limit = session_.server().options.write_timeout;
  if (open && has_output() && limit != duration::zero()) session_.look_by_locked(progress + limit);
}

void server_stream::failed_locked() noexcept {
  if (ctx_) session_.cancel_later_locked(ctx_->cancel);
}

context server_stream::request_context() {
  session::entry e(session_);
  if (!ctx_) {
    ctx_ = with_cancel(background());
    if (why) session_.cancel_later_locked(ctx_->cancel);
  }
  return ctx_->ctx;
}

net::endpoint server_stream::remote() const { return session_.connection().remote(); }

std::error_code server_stream::begin_read_locked() {
  std::uint64_t limit = session_.server().options.max_body_bytes;
  if (received_ > limit || (head_.content_length && *head_.content_length > limit)) {
    return errc::too_large;
  }
  if (!continue_asked_) return {};
  continue_asked_ = false;
  if (!input_ended && input().empty() && open && !why && !res_.head_sent()) {
    nghttp2_nv status = pair_of(":status", "100");
    nghttp2_submit_headers(session_.native(), NGHTTP2_FLAG_NONE, id, nullptr, &status, 1, nullptr);
  }
  return {};
}

// The handler's copy, which nobody else touches.
void server_stream::show_trailers_locked() {
  if (arriving_trailers_.empty()) return;
  trailers_ = std::move(arriving_trailers_);
  arriving_trailers_.clear();
}

result<std::size_t> server_stream::read_body(std::span<char> into) {
  session::entry e(session_);
  if (std::error_code w = begin_read_locked()) return std::unexpected(w);
  duration limit = session_.server().options.read_timeout;
  time_point until = limit == duration::zero() ? time_point::max() : began_ + limit;
  auto n = read_locked(e, into, until);
  if (!n) return n;
  received_ += *n;
  if (received_ > session_.server().options.max_body_bytes) {
    return std::unexpected(errc::too_large);
  }
  if (*n == 0 && !into.empty()) show_trailers_locked();
  return n;
}

std::optional<std::string_view> server_stream::body_at_hand() {
  session::entry e(session_);
  if (!input_ended || received_ + input().size() > session_.server().options.max_body_bytes) {
    return {};
  }
  body_.assign(input());
  discard_input_locked();
  show_trailers_locked();
  return body_;
}

std::error_code server_stream::send_head(const response& head, std::optional<std::uint64_t> length,
                                         std::string_view body, bool last) {
  int status = head.status();
  bool with_body = status >= 200 && status != 204 && status != 304;
  silent_ = !with_body || head_.method == "HEAD";
  length_left_ = silent_ ? std::nullopt : length;

  session::entry e(session_);
  if (why) return why;
  out_fields_.clear();
  std::string code = std::to_string(status);
  out_fields_.push_back(pair_of(":status", code));
  bool dated = false;
  bool declared = false;
  response_access::for_each(head, [&](std::string_view name, std::string_view value) {
    if (same_name(name, "Connection") && list_has(value, "close")) session_.goodbye_locked();
    if (is_of_connection(name)) return;
    dated |= same_name(name, "Date");
    if (same_name(name, "Content-Length")) {
      declared = true;
      return;
    }
    out_fields_.push_back(pair_of(name, value));
  });
  if (!dated) out_fields_.push_back(pair_of("date", session_.date_locked()));
  std::string size = std::to_string(length.value_or(0));
  // A HEAD whose handler wrote nothing says nothing of the length.
  bool unknown = silent_ && length == 0u && !declared;
  if (length && with_body && !unknown) out_fields_.push_back(pair_of("content-length", size));

  bool whole = silent_ || (last && body.empty());
  if (whole && length_left_ && *length_left_ != 0) {
    // Less than was announced: it must not look complete.
    whole = false;
    last = false;
  }
  nghttp2_data_provider source = provider();
  if (whole) output_ended = true;
  if (nghttp2_submit_response(session_.native(), id, out_fields_.data(), out_fields_.size(),
                              whole ? nullptr : &source) != 0) {
    return cut_off_locked(errc::going_away);
  }
  if (whole || body.empty()) return {};
  if (length_left_) {
    if (body.size() > *length_left_) return cut_off_locked(errc::content_length);
    *length_left_ -= body.size();
  }
  if (last && length_left_.value_or(0) == 0) {
    // In one piece with its end.
    std::error_code w = write_locked(e, body, session_.server().options.write_timeout);
    if (!w) end_output_locked(nullptr);
    return w;
  }
  return write_locked(e, body, session_.server().options.write_timeout);
}

std::error_code server_stream::cut_off_locked(std::error_code w) noexcept {
  session_.reset_locked(*this, NGHTTP2_INTERNAL_ERROR, w);
  return w;
}

std::error_code server_stream::send_data(std::string_view body) {
  if (silent_ || body.empty()) return {};
  session::entry e(session_);
  if (length_left_) {
    if (body.size() > *length_left_) {
      // What has been sent is complete, or never will be.
      if (*length_left_ != 0) return cut_off_locked(errc::content_length);
      return errc::content_length;
    }
    *length_left_ -= body.size();
  }
  return write_locked(e, body, session_.server().options.write_timeout);
}

std::error_code server_stream::send_file(int fd, std::uint64_t offset, std::uint64_t count) {
  if (silent_ || count == 0) return {};
  constexpr std::size_t step = 32 << 10;
  std::string piece;
  while (count != 0) {
    std::size_t want = std::min<std::uint64_t>(count, step);
    ssize_t got = 0;
    piece.resize_and_overwrite(want, [&](char* at, std::size_t) {
      got = pread(fd, at, want, static_cast<off_t>(offset));
      return static_cast<std::size_t>(std::max<ssize_t>(got, 0));
    });
    if (got <= 0) {  // failed, or the file has become shorter
      session::entry e(session_);
      return cut_off_locked(errc::ended_early);
    }
    if (std::error_code w = send_data(piece)) return w;
    offset += piece.size();
    count -= piece.size();
  }
  return {};
}

std::error_code server_stream::send_end(const headers& trailers) {
  if (silent_) return {};
  session::entry e(session_);
  if (length_left_ && *length_left_ != 0) return cut_off_locked(errc::ended_early);
  end_output_locked(&trailers);
  return why;
}

}  // namespace runnel::http::h2
