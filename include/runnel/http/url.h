#pragma once
// URLs, as far as a client needs them (RFC 3986).

#include <optional>
#include <string>
#include <string_view>

namespace runnel::http {

// The parts of "http://example.org:8080/a?b=c". A plain value.
struct url {
  std::string scheme;  // "http" or "https", in small letters
  std::string host;    // "example.org", "[::1]"
  std::string port;    // "8080"; the scheme's, if none is given
  std::string target;  // path and query, "/a?b=c"; at least "/"
  bool default_port = true;

  // "example.org:8080", always with the port: for dial.
  std::string address() const { return host + ":" + port; }
  // The same without the port where it is the scheme's: for Host.
  std::string authority() const { return default_port ? host : address(); }
  // All of it. Equal for URLs that differ in a fragment or in a port that goes without saying.
  std::string text() const { return scheme + "://" + authority() + target; }
};

// http and https, with a host, without a user. The fragment is dropped. Nothing: none of these, or characters that have to be
// percent-encoded.
std::optional<url> parse_url(std::string_view text);

// What a reference in a document at `base` means: "../b.html", "?n=2", "//example.org/", "http://…". Nothing: as for
// parse_url, so also for "mailto:…".
std::optional<url> resolve_url(const url& base, std::string_view reference);

}  // namespace runnel::http
