#include "report.h"

#include <sys/resource.h>

#include <algorithm>
#include <cinttypes>
#include <cstring>

namespace wordfreq {

namespace {

// How many bytes at the start of the text are a character to be printed as it is; 0 if none.
std::size_t printable_bytes(std::string_view text) {
  const auto at = [&](std::size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
  };
  const unsigned first = at(0);
  if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
  // Overlong forms, surrogates and what lies over U+10FFFF show in the second byte.
  const std::size_t size = first < 0xc2   ? 0
                           : first < 0xe0 ? 2
                           : first < 0xf0 ? 3
                           : first < 0xf5 ? 4
                                          : 0;
  const unsigned low = first == 0xe0   ? 0xa0
                       : first == 0xf0 ? 0x90
                       : first == 0xc2 ? 0xa0  // U+0080 to U+009F are control characters
                                       : 0x80;
  const unsigned high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (size == 0 || at(1) < low || at(1) > high) return 0;
  for (std::size_t i = 2; i < size; ++i) {
    if ((at(i) & 0xc0) != 0x80) return 0;
  }
  return size;
}

double cpu_now() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

std::string printable(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    std::size_t n = printable_bytes(text);
    if (n != 0) {
      shown += text.substr(0, n);
    } else {
      n = 1;
      char escaped[5];
      std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned char>(text[0]));
      shown += escaped;
    }
    text.remove_prefix(n);
  }
  return shown;
}

bool print_result(const ranking& words, const tally& totals) {
  for (const ranked_word& word : words.top) {
    std::printf("%12" PRIu64 "  %s\n", word.count, printable(word.text).c_str());
  }
  if (!words.top.empty()) std::printf("\n");
  const auto line = [](const char* name, std::uint64_t value, const char* remark) {
    std::printf("%-11s %12" PRIu64 "%s\n", name, value, value != 0 ? remark : "");
  };
  line("files", totals.files, "");
  line("bytes", totals.bytes, "");
  line("words", totals.words, "");
  line("distinct", words.distinct, "");
  line("too long", totals.too_long, "  runs of letters longer than any word");
  line("skipped", totals.skipped, "  symbolic links, pipes, sockets, devices");
  line("unreadable", totals.unreadable, "  files and directories");
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return true;
  std::fprintf(stderr, "wordfreq: the result cannot be written: %s\n", std::strerror(errno));
  return false;
}

void print_failures(const tally& totals) {
  for (const failure& one : totals.failures) {
    std::fprintf(stderr, "wordfreq: %s: %s\n", printable(one.path).c_str(),
                 std::strerror(one.error));
  }
  if (const std::uint64_t more = totals.unreadable - totals.failures.size(); more != 0) {
    std::fprintf(stderr, "wordfreq: and %" PRIu64 " more that cannot be read\n", more);
  }
}

stopwatch::stopwatch() : start_(std::chrono::steady_clock::now()), cpu_start_(cpu_now()) {}

double stopwatch::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

double stopwatch::cpu_seconds() const { return cpu_now() - cpu_start_; }

void print_speed(const stopwatch& watch, const tally& totals) {
  const double seconds = std::max(watch.seconds(), 1e-6);
  std::fprintf(stderr, "%.3f s, %.1f MB/s, %.0f files/s, %.2f cores\n", seconds,
               static_cast<double>(totals.bytes) / 1e6 / seconds,
               static_cast<double>(totals.files) / seconds, watch.cpu_seconds() / seconds);
}

}  // namespace wordfreq
