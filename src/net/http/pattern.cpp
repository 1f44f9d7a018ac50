#include "net/http/pattern.h"

#include <algorithm>

#include "net/http/text.h"
#include "runnel/http/headers.h"
#include "runnel/panic.h"

namespace runnel::http {
namespace {

[[noreturn]] void bad(std::string_view text, std::string_view why) {
  throw runtime_error("http: pattern \"" + std::string(text) + "\": " + std::string(why));
}

bool is_name(std::string_view text) noexcept {
  auto letter = [](char c) {
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80) != 0;
  };
  return !text.empty() && letter(text[0]) &&
         std::ranges::all_of(text, [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

pattern::segment parse_wildcard(std::string_view whole, std::string_view segment, bool last) {
  if (segment.front() != '{') bad(whole, "a wildcard is a whole segment");
  if (segment.back() != '}') bad(whole, "a wildcard is a whole segment");
  std::string_view name = segment.substr(1, segment.size() - 2);
  if (name == "$") {
    if (!last) bad(whole, "{$} not at the end");
    return {"/", false, false};
  }
  bool rest = name.ends_with("...");
  if (rest) name.remove_suffix(3);
  if (rest && !last) bad(whole, "{...} not at the end");
  if (!is_name(name)) bad(whole, "a wildcard without a proper name");
  return {std::string(name), true, rest};
}

// What each of two sets has that the other has not; two with nothing in common are disjoint.
struct relation {
  bool disjoint = false;
  bool first_has_more = false;
  bool second_has_more = false;

  relation& operator|=(const relation& other) noexcept {
    disjoint |= other.disjoint;
    first_has_more |= other.first_has_more;
    second_has_more |= other.second_has_more;
    return *this;
  }
};
constexpr relation apart{true, false, false};
constexpr relation first_wider{false, true, false};
constexpr relation second_wider{false, false, true};

relation compare(const pattern::segment& a, const pattern::segment& b) noexcept {
  if (a.rest || b.rest) return a.rest && b.rest ? relation{} : a.rest ? first_wider : second_wider;
  if (a.wild && b.wild) return {};
  if (a.wild) return b.text == "/" ? apart : first_wider;
  if (b.wild) return a.text == "/" ? apart : second_wider;
  return a.text == b.text ? relation{} : apart;
}

relation compare_methods(const std::string& a, const std::string& b) noexcept {
  if (a == b) return {};
  if (a.empty() || (a == "GET" && b == "HEAD")) return first_wider;
  if (b.empty() || (b == "GET" && a == "HEAD")) return second_wider;
  return apart;
}

relation compare_paths(const pattern& a, const pattern& b) noexcept {
  relation all;
  std::size_t shorter = std::min(a.segments.size(), b.segments.size());
  for (std::size_t i = 0; i < shorter; ++i) all |= compare(a.segments[i], b.segments[i]);
  if (a.segments.size() < b.segments.size()) {
    all |= a.segments.back().rest ? first_wider : apart;
  } else if (b.segments.size() < a.segments.size()) {
    all |= b.segments.back().rest ? second_wider : apart;
  }
  return all;
}

}  // namespace

pattern parse_pattern(std::string_view text) {
  pattern made;
  made.text = text;
  std::string_view left = text;
  if (std::size_t space = left.find_first_of(" \t"); space != std::string_view::npos) {
    made.method = left.substr(0, space);
    if (!is_token(made.method)) bad(text, "no method");
    left.remove_prefix(space);
    left = left.substr(std::min(left.find_first_not_of(" \t"), left.size()));
  }
  std::size_t slash = left.find('/');
  if (slash == std::string_view::npos) bad(text, "a path begins with /");
  made.host = left.substr(0, slash);
  if (made.host.find_first_of("{}") != std::string::npos) bad(text, "a host has no wildcards");
  if (!is_host(made.host)) bad(text, "no host");
  left.remove_prefix(slash);
  if (made.method != "CONNECT" && !is_clean(left)) bad(text, "the path is not clean");
  while (!left.empty()) {
    left.remove_prefix(1);  // the slash
    std::size_t end = std::min(left.find('/'), left.size());
    std::string_view one = left.substr(0, end);
    left.remove_prefix(end);
    if (one.empty()) {  // at the end: clean
      made.segments.push_back({"", true, true});
    } else if (one.find_first_of("{}") != std::string_view::npos) {
      made.segments.push_back(parse_wildcard(text, one, left.empty()));
    } else {
      std::string literal;
      if (!percent_decode(one, false, literal)) bad(text, "% without two digits");
      made.segments.push_back({std::move(literal), false, false});
    }
  }
  for (auto one = made.segments.begin(); one != made.segments.end(); ++one) {
    bool again = one->wild && !one->text.empty() &&
                 std::any_of(made.segments.begin(), one,
                             [&](const auto& s) { return s.wild && s.text == one->text; });
    if (again) bad(text, "two wildcards of the same name");
  }
  return made;
}

bool conflict(const pattern& a, const pattern& b) noexcept {
  if (!same_name(a.host, b.host)) return false;  // one is more specific, or they are disjoint
  relation r = compare_methods(a.method, b.method);
  r |= compare_paths(a, b);
  return !r.disjoint && r.first_has_more == r.second_has_more;
}

bool is_clean(std::string_view path) noexcept {
  if (path.empty() || path[0] != '/') return false;
  for (std::size_t i = 1; i < path.size(); ++i) {
    if (path[i - 1] != '/') continue;
    if (path[i] == '/') return false;
    if (path[i] != '.') continue;
    std::string_view segment = path.substr(i, path.find('/', i) - i);
    if (segment == "." || segment == "..") return false;
  }
  return true;
}

std::string clean(std::string_view path) {
  std::vector<std::string_view> kept;
  std::string_view last;
  bool more = true;
  while (more) {
    std::size_t end = path.find('/');
    more = end != std::string_view::npos;
    last = path.substr(0, end);
    if (more) path.remove_prefix(end + 1);
    if (last == "..") {
      if (!kept.empty()) kept.pop_back();
    } else if (!last.empty() && last != ".") {
      kept.push_back(last);
    }
  }
  std::string out;
  for (std::string_view one : kept) out.append("/").append(one);
  bool slash = last.empty() || last == "." || last == "..";
  if (slash) out += '/';
  return out;
}

}  // namespace runnel::http
