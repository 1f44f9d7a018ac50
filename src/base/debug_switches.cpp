#include "base/debug_switches.h"

#include <charconv>
#include <cstdlib>

namespace runnel::base {

int debug_switch(std::string_view name, std::string_view text) noexcept {
  int value = 0;
  while (!text.empty()) {
    std::string_view item = text.substr(0, text.find(','));
    text.remove_prefix(item.size() == text.size() ? item.size() : item.size() + 1);
    std::size_t equals = item.find('=');
    if (equals == item.npos || item.substr(0, equals) != name) continue;
    std::string_view digits = item.substr(equals + 1);
    int number = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error == std::errc{} && end == digits.data() + digits.size()) value = number;
  }
  return value;
}

int debug_switch(std::string_view name) noexcept {
  const char* text = std::getenv("RUNNEL_DEBUG");
  return text == nullptr ? 0 : debug_switch(name, text);
}

}  // namespace runnel::base
