#include "runnel/http/error.h"

#include <http_parser.h>

#include <string>

#include "net/http/text.h"
#include "runnel/http/headers.h"
#include "runnel/panic.h"

namespace runnel::http {
namespace {

class own_category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "runnel.http"; }
  std::string message(int value) const override {
    switch (static_cast<errc>(value)) {
      case errc::server_closed: return "http: Server closed";
      case errc::malformed: return "http: malformed message";
      case errc::too_large: return "http: message too large";
      case errc::ended_early: return "http: unexpected end of the stream";
      case errc::content_length: return "http: wrote more than the declared Content-Length";
      case errc::bad_url: return "http: invalid or unsupported URL";
      case errc::too_many_redirects: return "http: stopped after 10 redirects";
      case errc::stream_reset: return "http: stream reset by the other end";
      case errc::going_away: return "http: connection closed";
    }
    return "http: unknown error";
  }
};

// Never destroyed: errors may be looked at while the program ends.
union immortal_category {
  constexpr immortal_category() : value{} {}
  ~immortal_category() {}
  own_category value;
};
constinit immortal_category the_category;

void check_field(std::string_view name, std::string_view value) {
  if (is_token(name) && is_field_value(value)) return;
  throw runtime_error("http: invalid header field \"" + std::string(name) + "\"");
}

}  // namespace

const std::error_category& error_category() noexcept { return the_category.value; }

std::string_view status_text(int status) noexcept {
  switch (status) {
#define RUNNEL_STATUS(number, name, text) \
  case number: return #text;
    HTTP_STATUS_MAP(RUNNEL_STATUS)
#undef RUNNEL_STATUS
    default: return {};
  }
}

std::string_view headers::get(std::string_view name) const noexcept {
  for (const entry& e : entries_) {
    if (same_name(e.name, name)) return e.value;
  }
  return {};
}

bool headers::contains(std::string_view name) const noexcept {
  for (const entry& e : entries_) {
    if (same_name(e.name, name)) return true;
  }
  return false;
}

void headers::set(std::string_view name, std::string_view value) {
  check_field(name, value);
  erase(name);
  entries_.push_back({std::string(name), std::string(value)});
}

void headers::add(std::string_view name, std::string_view value) {
  check_field(name, value);
  entries_.push_back({std::string(name), std::string(value)});
}

void headers::erase(std::string_view name) {
  std::erase_if(entries_, [&](const entry& e) { return same_name(e.name, name); });
}

}  // namespace runnel::http
