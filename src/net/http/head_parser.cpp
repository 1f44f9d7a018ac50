#include "net/http/head_parser.h"

#include <http_parser.h>

#include <algorithm>
#include <cstring>

#include "net/http/text.h"

namespace runnel::http {
namespace {

constexpr std::size_t empty_lines_max = 4;  // CRLFs before a request
constexpr std::size_t fields_max = 256;

struct parse {
  http_parser parser;
  message_head& head;
  std::string_view target;
  bool value_last = true;
  bool too_many = false;
};

parse& of(http_parser* p) noexcept { return *static_cast<parse*>(p->data); }

int on_url(http_parser* p, const char* at, std::size_t size) {
  std::string_view& target = of(p).target;
  target = target.empty() ? std::string_view(at, size)
                          : std::string_view(target.data(), target.size() + size);
  return 0;
}

int on_name(http_parser* p, const char* at, std::size_t size) {
  parse& self = of(p);
  auto& fields = self.head.fields;
  if (!self.value_last) {
    fields.back().name = {fields.back().name.data(), fields.back().name.size() + size};
    return 0;
  }
  if (fields.size() == fields_max) {
    self.too_many = true;
    return 1;
  }
  fields.push_back({{at, size}, {}});
  self.value_last = false;
  return 0;
}

int on_value(http_parser* p, const char* at, std::size_t size) {
  parse& self = of(p);
  std::string_view& value = self.head.fields.back().value;
  value = self.value_last ? std::string_view(value.data(), value.size() + size)
                          : std::string_view(at, size);
  self.value_last = true;
  return 0;
}

int on_complete(http_parser*) { return 1; }  // what follows the head is not the parser's

const http_parser_settings& settings() noexcept {
  static const http_parser_settings made = [] {
    // The scanner has the limit.
    http_parser_set_max_header_size(1u << 30);
    http_parser_settings s;
    http_parser_settings_init(&s);
    s.on_url = on_url;
    s.on_header_field = on_name;
    s.on_header_value = on_value;
    s.on_headers_complete = on_complete;
    return s;
  }();
  return made;
}

fault take_length(message_head& head, std::string_view value) noexcept {
  if (head.content_length) return fault::bad_request;  // also if they agree
  head.content_length = parse_decimal(value);
  return head.content_length ? fault::none : fault::bad_request;
}

fault take_encoding(message_head& head, std::string_view value) noexcept {
  if (head.chunked) return fault::bad_request;
  if (!same_name(value, "chunked")) return fault::not_implemented;
  head.chunked = true;
  return fault::none;
}

fault take_host(message_head& head, std::string_view value) noexcept {
  if (head.host.data() != nullptr || !is_host(value)) return fault::bad_request;
  head.host = value;
  return fault::none;
}

void take_connection(message_head& head, std::string_view value) noexcept {
  head.close |= list_has(value, "close");
  head.keep_alive |= list_has(value, "keep-alive");
  head.upgrade |= list_has(value, "upgrade");
}

// Those fields that say how the message is to be understood.
fault take_field(message_head& head, const field& f) noexcept {
  switch (f.name.size()) {
    case 4: return same_name(f.name, "host") ? take_host(head, f.value) : fault::none;
    case 6:
      if (same_name(f.name, "expect") && same_name(f.value, "100-continue")) {
        head.expect_continue = true;
      }
      return fault::none;
    case 10:
      if (same_name(f.name, "connection")) take_connection(head, f.value);
      return fault::none;
    case 14: return same_name(f.name, "content-length") ? take_length(head, f.value) : fault::none;
    case 17:
      return same_name(f.name, "transfer-encoding") ? take_encoding(head, f.value) : fault::none;
    default: return fault::none;
  }
}

fault take_fields(message_head& head) noexcept {
  for (field& f : head.fields) {
    f.value = trim(f.value);
    if (!is_token(f.name) || !is_field_value(f.value)) return fault::bad_request;
    if (fault why = take_field(head, f); why != fault::none) return why;
  }
  if (head.chunked && (head.content_length || head.minor == 0)) return fault::bad_request;
  return fault::none;
}

fault run(std::string_view text, http_parser_type type, parse& state) {
  message_head& head = state.head;
  head.fields.clear();
  head.host = {};
  head.method = {};
  head.content_length.reset();
  head.chunked = head.close = head.keep_alive = head.upgrade = head.expect_continue = false;
  http_parser& p = state.parser;
  http_parser_init(&p, type);
  p.data = &state;
  http_parser_execute(&p, &settings(), text.data(), text.size());
  if (state.too_many) return fault::fields_too_large;
  switch (HTTP_PARSER_ERRNO(&p)) {
    case HPE_OK: break;
    case HPE_INVALID_METHOD: return fault::not_implemented;
    case HPE_INVALID_VERSION: return fault::version;
    default: return fault::bad_request;
  }
  if (p.http_major != 1) return p.http_major > 1 ? fault::version : fault::bad_request;
  head.minor = std::min<int>(p.http_minor, 1);
  return fault::none;
}

}  // namespace

head_scanner::state head_scanner::scan(std::string_view data) noexcept {
  for (;;) {
    const void* found =
        seen_ < data.size() ? std::memchr(data.data() + seen_, '\n', data.size() - seen_) : nullptr;
    if (found == nullptr) {
      seen_ = data.size();
      if (data.size() <= size_max_) return state::more;
      return fail(line_ == begin_ ? fault::uri_too_long : fault::fields_too_large);
    }
    auto feed = static_cast<std::size_t>(static_cast<const char*>(found) - data.data());
    if (feed > size_max_) {
      return fail(line_ == begin_ ? fault::uri_too_long : fault::fields_too_large);
    }
    if (feed == line_ || data[feed - 1] != '\r') return fail(fault::bad_request);  // bare
    bool first = line_ == begin_;
    bool empty = feed == line_ + 1;
    // A line that begins with white space would go on with the one before.
    if (!first && (data[line_] == ' ' || data[line_] == '\t')) return fail(fault::bad_request);
    line_ = seen_ = feed + 1;
    if (!empty) continue;
    if (!first) return state::complete;
    begin_ = line_;
    if (begin_ > 2 * empty_lines_max) return fail(fault::bad_request);
  }
}

fault parse_request(std::string_view text, message_head& head) {
  parse state{.parser = {}, .head = head, .target = {}};
  fault why = run(text, HTTP_REQUEST, state);
  if (why == fault::not_implemented) {
    // One that the parser does not know, or none at all.
    return is_token(text.substr(0, text.find(' '))) ? why : fault::bad_request;
  }
  if (why != fault::none) return why;
  head.target = state.target;
  head.method = text.substr(0, text.find(' '));
  // Single spaces, nothing else: the parser skips more.
  constexpr std::string_view version = " HTTP/1.x";
  std::size_t line = text.find('\r');
  if (line != head.method.size() + 1 + head.target.size() + version.size() ||
      head.target.data() != text.data() + head.method.size() + 1) {
    return fault::bad_request;
  }
  for (char c : head.target) {
    if (c <= 0x20 || c >= 0x7f) return fault::bad_request;
  }
  if (why = take_fields(head); why != fault::none) return why;
  if (head.minor == 1 && head.host.data() == nullptr) return fault::bad_request;
  head.no_body = !head.chunked && !head.content_length;
  return fault::none;
}

fault parse_response(std::string_view text, message_head& head) {
  parse state{.parser = {}, .head = head, .target = {}};
  if (fault why = run(text, HTTP_RESPONSE, state); why != fault::none) return why;
  head.status = static_cast<int>(state.parser.status_code);
  if (head.status < 100 || head.status > 999) return fault::bad_request;
  return take_fields(head);
}

bool parse_field(std::string_view line, field& found) noexcept {
  std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return false;
  found = {line.substr(0, colon), trim(line.substr(colon + 1))};
  return is_token(found.name) && is_field_value(found.value);
}

}  // namespace runnel::http
