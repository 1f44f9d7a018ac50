#include "runnel/http/response.h"

#include <unistd.h>

#include <algorithm>
#include <tuple>

#include "net/http/text.h"
#include "runnel/http/error.h"
#include "runnel/panic.h"

namespace runnel::http {
namespace {

constexpr std::size_t buffer_max = 4096;
constexpr std::size_t sniff_max = 512;

bool has_body(int status) noexcept { return status >= 200 && status != 204 && status != 304; }

// Text, or anything.
std::string_view type_of(std::string_view body) noexcept {
  for (char c : body.substr(0, sniff_max)) {
    auto u = static_cast<unsigned char>(c);
    bool binary = u < 0x20 && c != '\n' && c != '\r' && c != '\t' && c != '\f' && c != 0x1b;
    if (binary) return "application/octet-stream";
  }
  return "text/plain; charset=utf-8";
}

}  // namespace

response& response::status(int code) {
  if (code < 200 || code > 999) {
    throw runtime_error("http: no status to answer with: " + std::to_string(code));
  }
  if (!head_sent_) status_ = code;
  return *this;
}

response& response::header(std::string_view name, std::string_view value) {
  remove_header(name);
  return add_header(name, value);
}

response& response::add_header(std::string_view name, std::string_view value) {
  if (head_sent_) return *this;
  if (!is_token(name) || !is_field_value(value)) {
    throw runtime_error("http: invalid header field \"" + std::string(name) + "\"");
  }
  entries_.push_back({static_cast<std::uint32_t>(text_.size()),
                      static_cast<std::uint32_t>(name.size()),
                      static_cast<std::uint32_t>(value.size())});
  text_.append(name).append(value);
  return *this;
}

response& response::remove_header(std::string_view name) {
  if (head_sent_ || entries_.empty()) return *this;
  std::erase_if(entries_, [&](const entry& e) { return same_name(name_of(e), name); });
  return *this;
}

std::string_view response::header(std::string_view name) const noexcept {
  for (const entry& e : entries_) {
    if (same_name(name_of(e), name)) return value_of(e);
  }
  return {};
}

response& response::trailer(std::string_view name, std::string_view value) {
  if (!has_trailers_ && head_sent_) return *this;
  trailers_.set(name, value);
  if (!head_sent_) add_header("Trailer", name);
  has_trailers_ = true;
  return *this;
}

void response::filter(std::unique_ptr<body_filter> f) {
  if (!head_sent_) filter_ = std::move(f);
}

// `more`: body that is not in the buffer. Through the filter by now, if there is one.
std::error_code response::send_head(std::string_view more, bool last) {
  std::string_view plain = buffer_.empty() ? more : std::string_view(buffer_);
  if (header("Content-Type").empty() && !plain.empty() && has_body(status_) &&
      header("Content-Encoding").empty()) {
    header("Content-Type", type_of(plain));
  }
  if (filter_ != nullptr) {
    std::string_view whole = plain;
    filtering_ = filter_->begin(
        *this, last && (buffer_.empty() || more.empty()) ? std::optional(whole) : std::nullopt);
  }
  std::string filtered;
  if (filtering_) {
    filter_->write(buffer_, filtered);
    filter_->write(more, filtered);
    if (last) filter_->finish(filtered);
    buffer_ = std::move(filtered);
    more = {};
    remove_header("Content-Length");
  }
  std::optional<std::uint64_t> length = parse_decimal(header("Content-Length"));
  bool at_once = last && more.empty();
  if (!length && last && !has_trailers_) length = buffer_.size() + more.size();
  head_sent_ = true;
  failed_ = sink_->send_head(*this, length, buffer_, at_once);
  buffer_.clear();
  if (!failed_ && !more.empty()) failed_ = sink_->send_data(more);
  return failed_;
}

std::error_code response::pass(std::string_view body) {
  if (failed_) return failed_;
  if (!filtering_) return failed_ = sink_->send_data(body);
  std::string filtered;
  filter_->write(body, filtered);
  if (!filtered.empty()) failed_ = sink_->send_data(filtered);
  return failed_;
}

std::error_code response::write(std::string_view body) {
  if (failed_ || body.empty()) return failed_;
  if (head_sent_) return pass(body);
  if (buffer_.size() + body.size() <= buffer_max) {
    if (auto announced = parse_decimal(header("Content-Length"))) {
      if (buffer_.size() + body.size() > *announced) return errc::content_length;
    }
    buffer_.append(body);
    return {};
  }
  return send_head(body, false);
}

std::error_code response::write_file(int fd, std::uint64_t offset, std::uint64_t count) {
  if (!head_sent_ && send_head({}, false)) return failed_;
  if (failed_) return failed_;
  if (!filtering_) return failed_ = sink_->send_file(fd, offset, count);
  std::string piece;
  while (count != 0) {
    std::size_t want = std::min<std::uint64_t>(count, 64 << 10);
    ssize_t got = 0;
    piece.resize_and_overwrite(want, [&](char* at, std::size_t) {
      got = pread(fd, at, want, static_cast<off_t>(offset));
      return static_cast<std::size_t>(std::max<ssize_t>(got, 0));
    });
    if (got <= 0) return failed_ = errc::ended_early;
    if (pass(piece)) return failed_;
    offset += piece.size();
    count -= piece.size();
  }
  return {};
}

std::error_code response::flush() {
  if (!head_sent_) return send_head({}, false);
  if (failed_ || !filtering_) return failed_;
  std::string filtered;
  filter_->flush(filtered);
  if (!filtered.empty()) failed_ = sink_->send_data(filtered);
  return failed_;
}

std::error_code response::finish() {
  if (!head_sent_) {
    bool at_once = !has_trailers_;
    if (send_head({}, at_once) || at_once) return failed_;
  } else if (filtering_ && !failed_) {
    std::string filtered;
    filter_->finish(filtered);
    if (!filtered.empty()) failed_ = sink_->send_data(filtered);
  }
  if (!failed_) failed_ = sink_->send_end(trailers_);
  return failed_;
}

void response::error(int code, std::string_view text) {
  if (head_sent_) return;
  buffer_.clear();
  for (std::string_view gone : {"Content-Length", "Content-Encoding", "ETag", "Last-Modified"}) {
    remove_header(gone);
  }
  status(code);
  header("Content-Type", "text/plain; charset=utf-8");
  header("X-Content-Type-Options", "nosniff");
  std::ignore = write(text.empty() ? std::to_string(code) + " " + std::string(status_text(code))
                                   : std::string(text));
  std::ignore = write("\n");
}

void response::redirect(std::string_view to, int code) {
  status(code);
  header("Location", to);
}

void response::reset(detail::response_sink* sink) noexcept {
  status_ = 200;
  head_sent_ = filtering_ = false;
  if (text_.capacity() > buffer_max) {
    text_ = {};
  } else {
    text_.clear();
  }
  entries_.clear();
  buffer_.clear();
  if (has_trailers_) trailers_.clear();
  has_trailers_ = false;
  filter_.reset();
  failed_.clear();
  sink_ = sink;
}

}  // namespace runnel::http
