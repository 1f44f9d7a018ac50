#pragma once
// The grammar of HTTP's small parts (RFC 9110, RFC 3986).

#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>

namespace runnel::http {

bool is_token(std::string_view text) noexcept;
// No control characters but the tab: no line ends, no NUL.
bool is_field_value(std::string_view text) noexcept;
bool is_host(std::string_view text) noexcept;
std::string_view trim(std::string_view text) noexcept;

// Digits alone, no sign, no overflow.
std::optional<std::uint64_t> parse_decimal(std::string_view text) noexcept;

// Whether a comma separated list has the word.
bool list_has(std::string_view list, std::string_view word) noexcept;

int hex_value(char c) noexcept;  // -1: none
// False: % without two hexadecimal digits. plus_is_space: in queries.
bool percent_decode(std::string_view text, bool plus_is_space, std::string& out);
std::string percent_encode_path(std::string_view text);

// "Sun, 06 Nov 1994 08:49:37 GMT"; 29 characters and a zero.
constexpr std::size_t date_size = 29;
void write_date(std::time_t when, char* out) noexcept;
std::optional<std::time_t> parse_date(std::string_view text) noexcept;

}  // namespace runnel::http
