#include "net/http/body_reader.h"

#include <algorithm>
#include <cstring>

#include "net/http/head_parser.h"
#include "net/http/text.h"

namespace runnel::http {
namespace {

constexpr std::size_t size_digits_max = 15;
constexpr std::size_t line_max = 4096;
constexpr std::size_t overhead_max = 64 << 10;  // extensions and trailers together

}  // namespace

void body_reader::start(framing how, std::uint64_t length, std::uint64_t limit) noexcept {
  framing_ = how;
  part_ = part::size;
  left_ = length;
  total_ = 0;
  limit_ = limit;
  overhead_ = 0;
  failed_.clear();
  done_ = how == framing::length && length == 0;
  if (!trailers_.empty()) trailers_.clear();
}

std::unexpected<std::error_code> body_reader::fail(std::error_code why) noexcept {
  failed_ = why;
  return std::unexpected(why);
}

std::error_code body_reader::more() {
  if (in_.room() == 0) return errc::too_large;
  auto n = in_.fill();
  if (!n) return n.error();
  return *n == 0 ? errc::ended_early : std::error_code();
}

result<std::size_t> body_reader::read_some(std::span<char> into, std::uint64_t most) {
  std::size_t want = std::min<std::uint64_t>(into.size(), most);
  if (std::string_view ready = in_.pending(); !ready.empty()) {
    std::size_t n = std::min(want, ready.size());
    std::memcpy(into.data(), ready.data(), n);
    in_.consume(n);
    return n;
  }
  // Large reads go past the buffer; small ones fill it.
  if (want >= in_.room()) return in_.connection().read(into.first(want));
  auto n = in_.fill();
  if (!n || *n == 0) return n;
  return read_some(into, most);
}

result<std::size_t> body_reader::read(std::span<char> into) {
  if (failed_) return std::unexpected(failed_);
  if (done_ || into.empty()) return 0;
  if (framing_ == framing::length && left_ > limit_) return fail(errc::too_large);
  if (framing_ == framing::chunked) {
    if (std::error_code why = to_next_chunk()) return fail(why);
    if (done_) return 0;
  }
  std::uint64_t most = framing_ == framing::until_end ? UINT64_MAX : left_;
  auto n = read_some(into, most);
  if (!n) return fail(n.error());
  if (*n == 0) {
    if (framing_ != framing::until_end) return fail(errc::ended_early);
    done_ = true;
    return 0;
  }
  total_ += *n;
  if (total_ > limit_ && framing_ != framing::length) return fail(errc::too_large);
  if (framing_ != framing::until_end) left_ -= *n;
  if (framing_ == framing::length) {
    done_ = left_ == 0;
  } else if (framing_ == framing::chunked && left_ == 0) {
    part_ = part::data_end;
    // The end may be there already: then whoever has read everything knows it.
    if (in_.pending().starts_with("\r\n0\r\n\r\n")) {
      in_.consume(7);
      done_ = true;
    }
  }
  return n;
}

std::optional<std::string_view> body_reader::take_pending() noexcept {
  if (failed_ || framing_ != framing::length || left_ > limit_) return {};
  if (in_.pending().size() < left_) return {};
  std::string_view body = in_.pending().substr(0, left_);
  in_.consume(left_);
  // The body must outlive what is read next.
  in_.keep();
  left_ = 0;
  done_ = true;
  return body;
}

result<std::string_view> body_reader::read_line() {
  std::size_t seen = 0;
  for (;;) {
    std::string_view ready = in_.pending();
    std::size_t feed = ready.find('\n', seen);
    if (feed != std::string_view::npos) {
      if (feed == 0 || ready[feed - 1] != '\r') return std::unexpected(errc::malformed);
      overhead_ += feed;
      if (feed > line_max || overhead_ > overhead_max) return std::unexpected(errc::too_large);
      in_.consume(feed + 1);
      return ready.substr(0, feed - 1);
    }
    seen = ready.size();
    if (seen > line_max) return std::unexpected(errc::too_large);
    if (std::error_code why = more()) return std::unexpected(why);
  }
}

// Up to data, or to the end of the body.
std::error_code body_reader::to_next_chunk() {
  if (part_ == part::data) return {};
  if (part_ == part::data_end) {
    while (in_.pending().size() < 2) {
      if (std::error_code why = more()) return why;
    }
    if (!in_.pending().starts_with("\r\n")) return errc::malformed;
    in_.consume(2);
    part_ = part::size;
  }
  if (part_ == part::size) {
    if (std::error_code why = read_size()) return why;
    part_ = left_ == 0 ? part::trailer : part::data;
  }
  return part_ == part::trailer ? read_trailers() : std::error_code();
}

std::error_code body_reader::read_size() {
  auto line = read_line();
  if (!line) return line.error();
  std::size_t digits = 0;
  left_ = 0;
  while (digits < line->size() && hex_value((*line)[digits]) >= 0) {
    if (digits == size_digits_max) return errc::malformed;
    left_ = left_ * 16 + static_cast<unsigned>(hex_value((*line)[digits++]));
  }
  std::string_view rest = line->substr(digits);
  if (digits == 0 || !is_field_value(rest)) return errc::malformed;
  // Extensions are read over.
  rest = trim(rest);
  if (!rest.empty() && rest[0] != ';') return errc::malformed;
  if (left_ > limit_ || total_ > limit_ - left_) return errc::too_large;
  // A size of one digit to each byte would be honest; much more than that is not.
  if (rest.empty()) overhead_ -= std::min(overhead_, line->size() + 1);
  return {};
}

std::error_code body_reader::read_trailers() {
  for (;;) {
    auto line = read_line();
    if (!line) return line.error();
    if (line->empty()) {
      done_ = true;
      return {};
    }
    field f;
    if (!parse_field(*line, f)) return errc::malformed;
    // What says how the message is framed cannot come after it.
    if (same_name(f.name, "content-length") || same_name(f.name, "transfer-encoding") ||
        same_name(f.name, "host")) {
      return errc::malformed;
    }
    trailers_.add(f.name, f.value);
  }
}

}  // namespace runnel::http
