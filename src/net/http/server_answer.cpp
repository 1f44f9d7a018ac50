// How a server's connection writes answers: one call for the head and a small body.

#include <algorithm>
#include <charconv>
#include <ctime>

#include "net/http/server_connection.h"

namespace runnel::http {
namespace {

constexpr std::size_t copied_max = 4096;     // a body up to here is copied behind the head
constexpr std::size_t kept_max = 16 << 10;   // memory for heads between requests
constexpr std::size_t step_max = 256 << 10;  // written within one write_timeout
constexpr std::string_view line_end = "\r\n";

void append_number(std::string& to, std::uint64_t number, int base = 10) {
  char text[24];
  auto end = std::to_chars(text, text + sizeof text, number, base).ptr;
  to.append(text, end);
}

}  // namespace

void server_connection::before_write() {
  duration limit = server_.options.write_timeout;
  if (limit == duration::zero()) return;
  time_point when = std::chrono::steady_clock::now() + limit;
  if (write_deadline_ <= when && write_deadline_ >= when - limit / 16) return;
  write_deadline_ = when;
  conn_.set_write_deadline(when);
}

std::error_code server_connection::write(std::span<const std::string_view> parts) {
  if (broken_) return std::make_error_code(std::errc::broken_pipe);
  std::span<const std::byte> pieces[8];
  std::size_t count = 0;
  std::size_t room = step_max;
  std::error_code why;
  auto send = [&] {
    before_write();
    auto n = conn_.write_parts(std::span(pieces, count));
    if (!n) why = n.error();
    count = 0;
    room = step_max;
  };
  for (std::string_view part : parts) {
    auto left = std::as_bytes(std::span(part));
    while (!left.empty() && !why) {
      auto piece = left.first(std::min(left.size(), room));
      left = left.subspan(piece.size());
      pieces[count++] = piece;
      room -= piece.size();
      if (room == 0 || count == std::size(pieces)) send();
    }
  }
  if (count != 0 && !why) send();
  if (why) {
    broken_ = true;
    if (ctx_) ctx_->cancel();
  }
  return why;
}

std::string_view server_connection::date() {
  std::time_t second = std::time(nullptr);
  if (second != date_of_) {
    date_of_ = second;
    write_date(second, date_);
  }
  return {date_, date_size};
}

void server_connection::write_fields(const response& head, bool with_body,
                                     std::optional<std::uint64_t> length) {
  bool dated = false;
  bool connection = false;
  bool declared = false;
  response_access::for_each(head, [&](std::string_view name, std::string_view value) {
    switch (name.size()) {
      case 4: dated |= same_name(name, "Date"); break;
      case 10:
        if (!same_name(name, "Connection")) break;
        connection = true;
        close_ |= list_has(value, "close");
        break;
      // How the body is framed is decided here.
      case 14:
        if (!same_name(name, "Content-Length")) break;
        declared = true;
        return;
      case 17:
        if (same_name(name, "Transfer-Encoding")) return;
        break;
      default: break;
    }
    out_.append(name).append(": ").append(value).append(line_end);
  });
  if (!dated) out_.append("Date: ").append(date()).append(line_end);
  // A HEAD whose handler wrote nothing says nothing of the length.
  bool unknown = silent_ && length == 0u && !declared;
  if (chunked_) {
    out_.append("Transfer-Encoding: chunked\r\n");
  } else if (length && with_body && !unknown) {
    out_.append("Content-Length: ");
    append_number(out_, *length);
    out_.append(line_end);
  }
  if (connection) return;
  if (close_) {
    out_.append("Connection: close\r\n");
  } else if (head_.minor == 0) {
    out_.append("Connection: keep-alive\r\n");
  }
}

void server_connection::frame_body(bool with_body, std::optional<std::uint64_t> length) {
  silent_ = !with_body || head_.method == "HEAD";
  chunked_ = !silent_ && !length && head_.minor == 1;
  length_left_ = silent_ ? std::nullopt : length;
  if (!silent_ && !length && head_.minor == 0) close_ = true;  // the end of the stream ends it
  if (server_.draining.load(std::memory_order_relaxed)) close_ = true;
  if (!body_.done() && (body_.failed() || continue_asked_)) close_ = true;
}

std::error_code server_connection::send_head(const response& head,
                                             std::optional<std::uint64_t> length,
                                             std::string_view body, bool last) {
  int status = head.status();
  bool with_body = status >= 200 && status != 204 && status != 304;
  frame_body(with_body, length);
  out_.clear();
  if (status == 200) {
    out_.append("HTTP/1.1 200 OK\r\n");
  } else {
    out_.append("HTTP/1.1 ");
    append_number(out_, static_cast<unsigned>(status));
    out_.append(" ").append(status_text(status)).append(line_end);
  }
  write_fields(head, with_body, length);
  out_.append(line_end);
  std::error_code why;
  if (silent_ || body.empty()) body = {};
  if (length_left_) {
    if (body.size() > *length_left_) return errc::content_length;
    *length_left_ -= body.size();
  }
  if (chunked_ && !body.empty()) {
    append_number(out_, body.size(), 16);
    out_.append(line_end);
  }
  std::string_view tail = chunked_ && !body.empty() ? line_end : std::string_view();
  if (body.size() <= copied_max) {
    out_.append(body).append(tail);
    std::string_view parts[] = {out_};
    why = write(parts);
  } else {
    std::string_view parts[] = {out_, body, tail};
    why = write(parts);
  }
  if (out_.capacity() > kept_max) out_ = {};
  // It must not look complete.
  if (last && length_left_ && *length_left_ != 0) broken_ = true;
  return why;
}

std::error_code server_connection::send_data(std::string_view body) {
  if (silent_ || body.empty()) return {};
  if (length_left_) {
    if (body.size() > *length_left_) {
      broken_ = *length_left_ != 0;
      return errc::content_length;
    }
    *length_left_ -= body.size();
  }
  if (!chunked_) {
    std::string_view parts[] = {body};
    return write(parts);
  }
  out_.clear();
  append_number(out_, body.size(), 16);
  out_.append(line_end);
  std::string_view parts[] = {out_, body, line_end};
  return write(parts);
}

std::error_code server_connection::send_file(int fd, std::uint64_t offset, std::uint64_t count) {
  if (silent_ || count == 0) return {};
  if (length_left_) {
    if (count > *length_left_) return errc::content_length;
    *length_left_ -= count;
  }
  if (chunked_) {
    out_.clear();
    append_number(out_, count, 16);
    out_.append(line_end);
    std::string_view parts[] = {out_};
    if (std::error_code why = write(parts)) return why;
  }
  while (count != 0 && !broken_) {
    std::uint64_t step = std::min<std::uint64_t>(count, step_max);
    before_write();
    auto n = conn_.send_file(fd, offset, step);
    if (!n || *n == 0) {  // failed, or the file has become shorter
      broken_ = true;
      return n ? std::error_code(errc::ended_early) : n.error();
    }
    offset += *n;
    count -= *n;
  }
  std::string_view parts[] = {line_end};
  return chunked_ ? write(parts) : std::error_code();
}

std::error_code server_connection::send_end(const headers& trailers) {
  if (length_left_ && *length_left_ != 0) {
    broken_ = true;
    return errc::ended_early;
  }
  if (!chunked_) return {};
  out_ = "0\r\n";
  for (const auto& one : trailers) {
    out_.append(one.name).append(": ").append(one.value).append(line_end);
  }
  out_.append(line_end);
  std::string_view parts[] = {out_};
  return write(parts);
}

}  // namespace runnel::http
