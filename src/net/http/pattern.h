#pragma once
// Patterns of the mux: "[METHOD ][HOST]/PATH".

#include <string>
#include <string_view>
#include <vector>

namespace runnel::http {

struct pattern {
  struct segment {
    std::string text;  // a literal, decoded; the name of a wildcard; "/" for {$}
    bool wild = false;
    bool rest = false;  // also wild; without a name: a path that ends with a slash
  };
  std::string text;
  std::string method;  // "": any
  std::string host;    // "": any
  std::vector<segment> segments;
};

// Throws runtime_error where it is malformed.
pattern parse_pattern(std::string_view text);

// Whether one of them would be chosen by chance: the same requests match, or some match both and neither is more specific.
bool conflict(const pattern& a, const pattern& b) noexcept;

// "/a/../b//c/" to "/b/c/"; works on paths as they are sent.
bool is_clean(std::string_view path) noexcept;
std::string clean(std::string_view path);

}  // namespace runnel::http
