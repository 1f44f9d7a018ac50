#include "net/http/text.h"

#include <array>
#include <charconv>
#include <cstddef>
#include <cstring>

#include "runnel/http/headers.h"

namespace runnel::http {
namespace {

constexpr std::array<bool, 256> characters(std::string_view others) {
  std::array<bool, 256> set{};
  for (char c = '0'; c <= '9'; ++c) set[static_cast<unsigned char>(c)] = true;
  for (char c = 'a'; c <= 'z'; ++c) set[static_cast<unsigned char>(c)] = true;
  for (char c = 'A'; c <= 'Z'; ++c) set[static_cast<unsigned char>(c)] = true;
  for (char c : others) set[static_cast<unsigned char>(c)] = true;
  return set;
}
constexpr auto token_characters = characters("!#$%&'*+-.^_`|~");
constexpr auto host_characters = characters("-._~!$&'()*+,;=:[]%");
constexpr auto path_characters = characters("-._~!$&'()*+,;=:@/");

bool all_of(std::string_view text, const std::array<bool, 256>& set) noexcept {
  for (char c : text) {
    if (!set[static_cast<unsigned char>(c)]) return false;
  }
  return true;
}

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

constexpr char days[] = "SunMonTueWedThuFriSat";
constexpr char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

}  // namespace

bool is_token(std::string_view text) noexcept {
  return !text.empty() && all_of(text, token_characters);
}

bool is_field_value(std::string_view text) noexcept {
  for (char c : text) {
    auto u = static_cast<unsigned char>(c);
    if ((u < 0x20 && c != '\t') || u == 0x7f) return false;
  }
  return true;
}

bool is_host(std::string_view text) noexcept { return all_of(text, host_characters); }

std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::optional<std::uint64_t> parse_decimal(std::string_view text) noexcept {
  if (text.empty()) return {};
  std::uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

bool same_name(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i] && lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

bool list_has(std::string_view list, std::string_view word) noexcept {
  while (!list.empty()) {
    std::size_t comma = list.find(',');
    if (same_name(trim(list.substr(0, comma)), word)) return true;
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
  return false;
}

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  c = lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool percent_decode(std::string_view text, bool plus_is_space, std::string& out) {
  out.clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 >= text.size()) return false;
      int high = hex_value(text[i + 1]);
      int low = hex_value(text[i + 2]);
      if (high < 0 || low < 0) return false;
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += plus_is_space && text[i] == '+' ? ' ' : text[i];
    }
  }
  return true;
}

std::string percent_encode_path(std::string_view text) {
  static constexpr char digits[] = "0123456789ABCDEF";
  std::string out;
  for (char c : text) {
    auto u = static_cast<unsigned char>(c);
    if (path_characters[u]) {
      out += c;
    } else {
      out += '%';
      out += digits[u >> 4];
      out += digits[u & 15];
    }
  }
  return out;
}

void write_date(std::time_t when, char* out) noexcept {
  std::tm t{};
  gmtime_r(&when, &t);
  auto two = [&](int at, int value) {
    out[at] = static_cast<char>('0' + value / 10 % 10);
    out[at + 1] = static_cast<char>('0' + value % 10);
  };
  std::memcpy(out, "ddd, 00 mmm 0000 00:00:00 GMT", date_size + 1);
  std::memcpy(out, days + std::ptrdiff_t{3} * t.tm_wday, 3);
  two(5, t.tm_mday);
  std::memcpy(out + 8, months + std::ptrdiff_t{3} * t.tm_mon, 3);
  two(12, (t.tm_year + 1900) / 100);
  two(14, (t.tm_year + 1900) % 100);
  two(17, t.tm_hour);
  two(20, t.tm_min);
  two(23, t.tm_sec);
}

std::optional<std::time_t> parse_date(std::string_view text) noexcept {
  if (text.size() != date_size || text.substr(25) != " GMT") return {};
  std::string_view month = text.substr(8, 3);
  std::size_t at = std::string_view(months).find(month);
  if (at == std::string_view::npos || at % 3 != 0) return {};
  auto number = [&](std::size_t from, std::size_t size) {
    return static_cast<int>(parse_decimal(text.substr(from, size)).value_or(0));
  };
  std::tm t{};
  t.tm_mday = number(5, 2);
  t.tm_mon = static_cast<int>(at / 3);
  t.tm_year = number(12, 4) - 1900;
  t.tm_hour = number(17, 2);
  t.tm_min = number(20, 2);
  t.tm_sec = number(23, 2);
  return timegm(&t);
}

}  // namespace runnel::http
