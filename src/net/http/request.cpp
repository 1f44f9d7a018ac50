#include "runnel/http/request.h"

#include "net/http/access.h"
#include "net/http/head_parser.h"
#include "net/http/text.h"
#include "runnel/http/error.h"

namespace runnel::http {
namespace {

constexpr std::size_t body_step = 16 << 10;
constexpr std::size_t body_step_max = 1 << 20;

[[noreturn]] void throw_status(std::error_code why) {
  if (why == errc::too_large) throw status_error(413);
  if (why == std::errc::timed_out) throw status_error(408);
  throw status_error(400, why.message());
}

// Calls f(name, value), both as they were sent, until it says true.
template <class F>
bool any_parameter(std::string_view query, F f) {
  while (!query.empty()) {
    std::size_t end = std::min(query.find('&'), query.size());
    std::string_view one = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    std::size_t equals = std::min(one.find('='), one.size());
    if (f(one.substr(0, equals), one.substr(std::min(equals + 1, one.size())))) return true;
  }
  return false;
}

bool is_parameter(std::string_view sent, std::string_view name) {
  if (sent == name) return true;
  if (sent.find_first_of("%+") == std::string_view::npos) return false;
  std::string decoded;
  return percent_decode(sent, true, decoded) && decoded == name;
}

}  // namespace

std::string request::query(std::string_view name) const {
  std::string value;
  any_parameter(query_, [&](std::string_view key, std::string_view sent) {
    return is_parameter(key, name) && percent_decode(sent, true, value);
  });
  return value;
}

bool request::has_query(std::string_view name) const {
  return any_parameter(
      query_, [&](std::string_view key, std::string_view) { return is_parameter(key, name); });
}

std::string request::path_value(std::string_view wildcard) const {
  std::string value;
  for (const field& f : path_values_) {
    if (f.name == wildcard && !wildcard.empty()) {
      if (!percent_decode(f.value, false, value)) value = f.value;
      break;
    }
  }
  return value;
}

std::string_view request::proto() const noexcept {
  if (major_ == 2) return "HTTP/2.0";
  return minor_ == 0 ? "HTTP/1.0" : "HTTP/1.1";
}

std::string_view request::header(std::string_view name) const noexcept {
  for (const field& f : fields_) {
    if (same_name(f.name, name)) return f.value;
  }
  return {};
}

result<std::size_t> request::read(std::span<char> into) { return source_->read_body(into); }

std::string_view request::body() {
  if (body_read_) return body_view_;
  if (auto ready = source_->body_at_hand()) {
    body_view_ = *ready;
  } else {
    // Grows with what comes, not with what was announced.
    std::size_t step = body_step;
    for (;;) {
      std::size_t size = body_.size();
      std::size_t n = 0;
      std::error_code why;
      body_.resize_and_overwrite(size + step, [&](char* at, std::size_t) {
        auto got = source_->read_body(std::span(at + size, step));
        if (got) n = *got;
        if (!got) why = got.error();
        return size + n;
      });
      if (why) throw_status(why);
      if (n == 0) break;
      if (n == step && step < body_step_max) step *= 2;
    }
    body_view_ = body_;
  }
  body_read_ = true;
  return body_view_;
}

bool request_access::describe(request& req, const message_head& head,
                              detail::request_source* source) {
  req.source_ = source;
  req.method_ = head.method;
  req.target_ = head.target;
  req.host_ = head.host;
  req.major_ = head.major;
  req.minor_ = head.minor;
  req.fields_ = head.fields;
  req.content_length_ = head.content_length;
  if (head.no_body) req.content_length_ = 0;
  req.pattern_ = {};
  req.path_values_.clear();
  req.body_read_ = false;
  req.body_view_ = {};
  if (req.body_.capacity() > body_step) {
    req.body_ = {};
  } else {
    req.body_.clear();
  }
  std::string_view path = head.target;
  if (!path.starts_with('/') && path != "*") {
    if (head.method == "CONNECT") {
      req.raw_path_ = req.path_ = req.query_ = {};
      return true;
    }
    // As to a proxy: "http://host/path".
    std::size_t scheme = path.find("://");
    if (scheme == std::string_view::npos || !(same_name(path.substr(0, scheme), "http") ||
                                              same_name(path.substr(0, scheme), "https"))) {
      return false;
    }
    path.remove_prefix(scheme + 3);
    std::size_t end = std::min(path.find_first_of("/?"), path.size());
    req.host_ = path.substr(0, end);
    if (req.host_.empty() || !is_host(req.host_)) return false;
    path.remove_prefix(end);
    if (!path.starts_with('/')) {
      req.query_ = path.empty() ? path : path.substr(1);
      req.raw_path_ = req.path_ = "/";
      return true;
    }
  }
  std::size_t question = path.find('?');
  req.raw_path_ = req.path_ = path.substr(0, question);
  req.query_ = question == std::string_view::npos ? std::string_view() : path.substr(question + 1);
  if (req.raw_path_.find('%') != std::string_view::npos) {
    if (!percent_decode(req.raw_path_, false, req.decoded_path_)) return false;
    req.path_ = req.decoded_path_;
  }
  return true;
}

}  // namespace runnel::http
