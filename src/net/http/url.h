#pragma once
// URLs, as far as a client needs them (RFC 3986).

#include <optional>
#include <string>
#include <string_view>

namespace runnel::http {

struct url {
  std::string scheme;  // in small letters
  std::string host;    // with brackets around IPv6, without the port
  std::string port;    // the scheme's, if none is given
  std::string target;  // path and query, at least "/"
  bool default_port = true;

  std::string address() const { return host + ":" + port; }  // for dial
  std::string authority() const { return default_port ? host : address(); }
  std::string text() const { return scheme + "://" + authority() + target; }
};

// http and https, with a host, without a user. The fragment is dropped.
std::optional<url> parse_url(std::string_view text);
// A reference in a document at `base`.
std::optional<url> resolve_url(const url& base, std::string_view reference);

// The proxy for it by http_proxy and no_proxy; nothing: none.
std::optional<url> proxy_of(const url& to);
// no_proxy: names, with everything below them; addresses; "*"; each with a port perhaps.
bool is_excluded(const url& to, std::string_view no_proxy);

}  // namespace runnel::http
