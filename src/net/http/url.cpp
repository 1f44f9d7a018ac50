#include "net/http/url.h"

#include <algorithm>
#include <cstdlib>

#include "net/http/pattern.h"
#include "net/http/text.h"
#include "runnel/http/headers.h"

namespace runnel::http {
namespace {

bool split_authority(std::string_view text, url& to) {
  if (text.empty() || text.find('@') != std::string_view::npos || !is_host(text)) return false;
  std::size_t name_end = text.starts_with('[') ? text.find(']') : 0;
  if (name_end == std::string_view::npos) return false;
  std::size_t colon = text.find(':', name_end);
  to.host = text.substr(0, colon);
  std::string usual = to.scheme == "https" ? "443" : "80";
  to.port = colon == std::string_view::npos ? "" : text.substr(colon + 1);
  if (to.port.empty()) to.port = usual;
  to.default_port = to.port == usual;
  auto number = parse_decimal(to.port);
  return !to.host.empty() && number && *number <= 65535;
}

bool is_target(std::string_view text) noexcept {
  return std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace

std::optional<url> parse_url(std::string_view text) {
  url made;
  text = text.substr(0, text.find('#'));
  std::size_t scheme = text.find("://");
  if (scheme == std::string_view::npos) return {};
  for (const char* known : {"http", "https"}) {
    if (same_name(text.substr(0, scheme), known)) made.scheme = known;
  }
  if (made.scheme.empty()) return {};
  text.remove_prefix(scheme + 3);
  std::size_t end = std::min(text.find_first_of("/?"), text.size());
  if (!split_authority(text.substr(0, end), made)) return {};
  made.target = text.substr(end);
  if (!made.target.starts_with('/')) made.target.insert(0, "/");
  if (!is_target(made.target)) return {};
  return made;
}

std::optional<url> resolve_url(const url& base, std::string_view reference) {
  reference = reference.substr(0, reference.find('#'));
  std::size_t colon = reference.find(':');
  if (colon < reference.find_first_of("/?")) return parse_url(reference);
  if (reference.starts_with("//")) return parse_url(base.scheme + ":" + std::string(reference));
  url made = base;
  if (reference.empty()) return made;
  std::string path = base.target.substr(0, base.target.find('?'));
  if (reference.starts_with('/')) {
    path = "";
  } else if (!reference.starts_with('?')) {
    path.resize(path.rfind('/') + 1);
  }
  path += reference;
  std::size_t question = std::min(path.find('?'), path.size());
  made.target = clean(std::string_view(path).substr(0, question)) + path.substr(question);
  if (!is_target(made.target)) return {};
  return made;
}

bool is_excluded(const url& to, std::string_view no_proxy) {
  while (!no_proxy.empty()) {
    std::size_t end = std::min(no_proxy.find(','), no_proxy.size());
    std::string_view one = trim(no_proxy.substr(0, end));
    no_proxy.remove_prefix(std::min(end + 1, no_proxy.size()));
    if (one == "*") return true;
    std::size_t colon = one.rfind(':');
    if (colon != std::string_view::npos && one.find(':') == colon) {
      if (one.substr(colon + 1) != to.port) continue;
      one = one.substr(0, colon);
    }
    bool below_only = one.starts_with('.');
    if (below_only) one.remove_prefix(1);
    if (one.empty()) continue;
    std::string_view host = to.host;
    if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
    if (same_name(host, one)) {
      if (!below_only) return true;
      continue;
    }
    if (host.size() > one.size() + 1 && host[host.size() - one.size() - 1] == '.' &&
        same_name(host.substr(host.size() - one.size()), one)) {
      return true;
    }
  }
  return false;
}

std::optional<url> proxy_of(const url& to) {
  if (to.scheme != "http") return {};
  if (same_name(to.host, "localhost") || to.host == "[::1]" || to.host.starts_with("127.")) {
    return {};
  }
  // Only in small letters: a server's CGI programs find a client's field "Proxy" in HTTP_PROXY.
  const char* proxy = std::getenv("http_proxy");
  if (proxy == nullptr || *proxy == '\0') return {};
  const char* except = std::getenv("no_proxy");
  if (except != nullptr && is_excluded(to, except)) return {};
  std::string text = proxy;
  if (text.find("://") == std::string::npos) text.insert(0, "http://");
  return parse_url(text);
}

}  // namespace runnel::http
