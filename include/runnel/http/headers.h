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

// Without regard to the case of ASCII letters.
bool same_name(std::string_view a, std::string_view b) noexcept;

// Fields that it owns, in their order. A plain value; views of it are valid until it is changed.
class headers {
 public:
  struct entry {
    std::string name;
    std::string value;
  };

  // The first value; "" where there is none.
  std::string_view get(std::string_view name) const noexcept;
  bool contains(std::string_view name) const noexcept;
  // set replaces all fields of that name, add leaves them. They throw runtime_error where a name or a value has characters that
  // it may not have, as line ends: what comes from outside cannot add fields of its own.
  void set(std::string_view name, std::string_view value);
  void add(std::string_view name, std::string_view value);
  // All of that name.
  void erase(std::string_view name);
  void clear() noexcept { entries_.clear(); }
  bool empty() const noexcept { return entries_.empty(); }
  auto begin() const noexcept { return entries_.begin(); }
  auto end() const noexcept { return entries_.end(); }

 private:
  std::vector<entry> entries_;
};

}  // namespace runnel::http
