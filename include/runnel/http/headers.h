#pragma once
// Header fields. Names are compared without regard to the case of letters.

#include <string>
#include <string_view>
#include <vector>

namespace runnel::http {

// A field that lies in somebody else's memory.
struct field {
  std::string_view name;
  std::string_view value;
};

bool same_name(std::string_view a, std::string_view b) noexcept;

// Fields that it owns, in their order.
class headers {
 public:
  struct entry {
    std::string name;
    std::string value;
  };

  // The first value; "" where there is none.
  std::string_view get(std::string_view name) const noexcept;
  bool contains(std::string_view name) const noexcept;
  // Throw runtime_error where a name or a value has characters that it may not have.
  void set(std::string_view name, std::string_view value);
  void add(std::string_view name, std::string_view value);
  void erase(std::string_view name);
  void clear() noexcept { entries_.clear(); }
  bool empty() const noexcept { return entries_.empty(); }
  auto begin() const noexcept { return entries_.begin(); }
  auto end() const noexcept { return entries_.end(); }

 private:
  std::vector<entry> entries_;
};

}  // namespace runnel::http
