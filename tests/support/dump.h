#pragma once
// What debug::stacks() wrote, by goroutine.

#include <dlfcn.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/debug.h"

namespace test {

struct dumped_goroutine {
  std::uint64_t id = 0;
  std::string header;              // the first line
  std::string state;               // what stands in brackets
  std::vector<std::string> lines;  // functions and places, in turn
  std::string creator;             // "main() in goroutine 1"; empty: not said
  std::string creator_place;

  bool shows(std::string_view text) const {
    return std::ranges::any_of(
        lines, [&](const std::string& line) { return line.find(text) != line.npos; });
  }
};

class dump {
 public:
  explicit dump(std::string text) : text_(std::move(text)) {
    dumped_goroutine* now = nullptr;
    bool created = false;
    for (std::size_t at = 0; at < text_.size();) {
      std::size_t end = std::min(text_.find('\n', at), text_.size());
      std::string line = text_.substr(at, end - at);
      at = end + 1;
      if (line.empty()) {
        now = nullptr;
      } else if (line.starts_with("goroutine ")) {
        std::uint64_t id = std::strtoull(line.c_str() + 10, nullptr, 10);
        twice_ = twice_ || all_.contains(id);
        now = &all_[id];
        now->id = id;
        now->header = line;
        std::size_t open = line.find('[');
        now->state = line.substr(open + 1, line.rfind(']') - open - 1);
        created = false;
      } else if (now == nullptr) {
        rest_.push_back(line);
      } else if (line.starts_with("created by ")) {
        now->creator = line.substr(11);
        created = true;
      } else if (created) {
        now->creator_place = line.substr(line.find_first_not_of('\t'));
      } else {
        now->lines.push_back(line);
      }
    }
  }

  const std::string& text() const { return text_; }
  const std::map<std::uint64_t, dumped_goroutine>& all() const { return all_; }
  const std::vector<std::string>& rest() const { return rest_; }  // lines of no goroutine
  bool has_one_twice() const { return twice_; }

  // nullptr: it is not there.
  const dumped_goroutine* find(std::uint64_t id) const {
    auto at = all_.find(id);
    return at == all_.end() ? nullptr : &at->second;
  }

 private:
  std::string text_;
  std::map<std::uint64_t, dumped_goroutine> all_;
  std::vector<std::string> rest_;
  bool twice_ = false;
};

inline dump dump_now(runnel::debug::stacks_options how = {}) {
  return dump(runnel::debug::stacks(how));
}

// Names of what is not in the dynamic symbol table, and lines.
inline bool symbols_can_be_had() {
  static const bool can = dlopen("libdw.so.1", RTLD_NOW | RTLD_LOCAL) != nullptr;
  return can;
}

}  // namespace test
