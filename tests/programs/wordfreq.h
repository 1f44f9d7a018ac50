// Runs the example wordfreq, and says what it has to find.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "programs/program.h"

namespace program_test {

using counted_words = std::vector<std::pair<std::string, std::uint64_t>>;

struct result {
  counted_words words;                          // in the order printed
  std::map<std::string, std::uint64_t> totals;  // the lines below them
  outcome run;

  std::uint64_t total(const std::string& name) const {
    const auto line = totals.find(name);
    return line == totals.end() ? ~std::uint64_t{0} : line->second;
  }
};

inline outcome run_wordfreq(const std::vector<std::string>& arguments,
                            const std::function<int()>& prepare = nullptr) {
  return run_program(RUNNEL_EXAMPLES_DIR "/wordfreq", arguments, prepare);
}

inline result parsed(outcome run) {
  result r;
  std::istringstream lines(run.out);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    if (line[0] == ' ') {
      const std::size_t gap = line.find("  ", line.find_first_not_of(' '));
      r.words.emplace_back(line.substr(gap + 2), std::stoull(line));
    } else {
      constexpr std::size_t name_width = 11;
      const std::string name = line.substr(0, name_width);
      r.totals[name.substr(0, name.find_last_not_of(' ') + 1)] =
          std::stoull(line.substr(name_width));
    }
  }
  r.run = std::move(run);
  return r;
}

// All words of what the arguments name.
inline result count(std::vector<std::string> arguments,
                    const std::function<int()>& prepare = nullptr) {
  arguments.insert(arguments.begin(), {"--top", "1000000000"});
  return parsed(run_wordfreq(arguments, prepare));
}

// What the program has to find, written down as simply as can be.
struct reference {
  std::map<std::string, std::uint64_t> counts;
  std::uint64_t words = 0;
  std::uint64_t too_long = 0;
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;

  void add_file(std::string_view text, std::uint64_t times = 1) {
    files += times;
    bytes += times * text.size();
    std::string word;
    for (std::size_t i = 0; i <= text.size(); ++i) {
      const unsigned char c = i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
      if ((c >= 'a' && c <= 'z') || c >= 0x80) {
        word += static_cast<char>(c);
      } else if (c >= 'A' && c <= 'Z') {
        word += static_cast<char>(c - 'A' + 'a');
      } else if (!word.empty()) {
        if (word.size() > 64) {
          too_long += times;
        } else {
          counts[word] += times;
          words += times;
        }
        word.clear();
      }
    }
  }

  counted_words in_order() const {
    counted_words ordered(counts.begin(), counts.end());
    std::ranges::stable_sort(ordered,
                             [](const auto& a, const auto& b) { return a.second > b.second; });
    return ordered;
  }
};

inline void expect_totals(const result& found, const reference& wanted) {
  EXPECT_EQ(found.run.signal, 0);
  EXPECT_EQ(found.run.status, 0) << found.run.err;
  EXPECT_EQ(found.total("files"), wanted.files);
  EXPECT_EQ(found.total("bytes"), wanted.bytes);
  EXPECT_EQ(found.total("words"), wanted.words);
  EXPECT_EQ(found.total("distinct"), wanted.counts.size());
  EXPECT_EQ(found.total("too long"), wanted.too_long);
  EXPECT_EQ(found.total("unreadable"), 0u);
}

// For text whose words print as they are.
inline void expect_same(const result& found, const reference& wanted) {
  expect_totals(found, wanted);
  // Not EXPECT_EQ, which would print both of what may be long.
  EXPECT_TRUE(found.words == wanted.in_order()) << found.run.out.substr(0, 2000);
}

class random_text {
 public:
  explicit random_text(std::uint32_t seed) : dice_(seed) {
    for (std::string& word : vocabulary_) {
      word.resize(1 + below(below(8) == 0 ? 30 : 8));
      for (char& c : word) c = "etaoinSHRDLUx"[below(13)];
    }
  }

  std::size_t below(std::size_t n) { return dice_() % n; }

  std::string words(std::size_t bytes) {
    static constexpr std::string_view separators[] = {" ",   " ",      " ", ", ",
                                                      ".\n", "\n\n\t", "-", {"\0", 1}};
    std::string text;
    while (text.size() < bytes) {
      text += vocabulary_[below(vocabulary_.size())];
      text += separators[below(std::size(separators))];
    }
    return text;
  }

  std::string junk(std::size_t bytes) {
    std::string text(bytes, '\0');
    for (char& c : text) c = static_cast<char>(dice_());
    return text;
  }

 private:
  std::mt19937 dice_;
  std::array<std::string, 5000> vocabulary_;
};

}  // namespace program_test
