#include "options.h"

#include <getopt.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>

namespace wordfreq {

namespace {

constexpr const char* documentation[] = {"/usr/share/doc", "/usr/share/common-licenses",
                                         "/usr/share/perl", "/usr/share/perl5"};
constexpr const char* help =
    R"(Usage: wordfreq [OPTION]... [DIR]...
Counts the words of all regular files below the DIRs and prints the most frequent.
Without a DIR it reads the documentation that is installed on this machine:
those of /usr/share/doc, /usr/share/common-licenses, /usr/share/perl and
/usr/share/perl5 that exist.

  -t, --top N         print the N most frequent words; 20 by default
  -j, --jobs N        count at most N files at the same time, 1 to 4096;
                      by default %s
  -p, --progress      show the progress on standard error; by default if that is
                      a terminal
      --no-progress   never show it
  -h, --help          print this help and exit

A word is a run of ASCII letters, counted as lower case, and of bytes from 0x80 on,
so that words in UTF-8 stay whole. Everything else separates words. A run of more
than 64 bytes is not a word; the line "too long" says how many there were. In the
list, bytes that are not UTF-8 and control characters stand as \xNN.

A DIR may also be a file. One that is named twice is counted twice. Symbolic links
are followed only when they are named as DIR, never below one. Pipes, sockets and
devices are not opened. What cannot be read is counted and the first few of it are
named, and the rest is counted all the same.

The result goes to standard output, everything else to standard error.
Exit status: 0; 1 if a DIR itself cannot be read or the result cannot be written;
2 if the options make no sense.
)";

int bad(const char* what, std::string_view value) {
  std::fprintf(stderr, "wordfreq: %s '%.*s'\nTry 'wordfreq --help'.\n", what,
               static_cast<int>(value.size()), value.data());
  return 2;
}

bool parse_number(std::string_view text, std::size_t min, std::size_t max, std::size_t& number) {
  const auto [end, error] = std::from_chars(text.begin(), text.end(), number);
  return error == std::errc() && end == text.end() && number >= min && number <= max;
}

}  // namespace

parsed_options parse_options(int argc, char** argv, const char* jobs_default) {
  enum { no_progress = 256 };
  static constexpr option known[] = {
      {"top", required_argument, nullptr, 't'}, {"jobs", required_argument, nullptr, 'j'},
      {"progress", no_argument, nullptr, 'p'},  {"no-progress", no_argument, nullptr, no_progress},
      {"help", no_argument, nullptr, 'h'},      {}};
  options o;
  o.progress = isatty(STDERR_FILENO) == 1;
  opterr = 0;  // the messages are ours
  for (int c; (c = getopt_long(argc, argv, ":t:j:ph", known, nullptr)) != -1;) {
    std::size_t number = 0;
    switch (c) {
      case 't':
        if (!parse_number(optarg, 0, 1'000'000'000, o.top)) {
          return {{}, bad("--top takes a number from 0 to 1000000000, not", optarg)};
        }
        break;
      case 'j':
        if (!parse_number(optarg, 1, 4096, number)) {
          return {{}, bad("--jobs takes a number from 1 to 4096, not", optarg)};
        }
        o.jobs = static_cast<int>(number);
        break;
      case 'p': o.progress = true; break;
      case no_progress: o.progress = false; break;
      case 'h': std::printf(help, jobs_default); return {{}, std::fflush(stdout) == 0 ? 0 : 1};
      case ':': return {{}, bad("a value is missing after", argv[optind - 1])};
      default: {
        // getopt says which only of a short option; a long one is the argument it has just left.
        const char short_option[] = {'-', static_cast<char>(optopt), '\0'};
        const bool is_short =
            optopt != 0 && optopt < 256 && std::strncmp(argv[optind - 1], "--", 2) != 0;
        return {{}, bad("no such option:", is_short ? short_option : argv[optind - 1])};
      }
    }
  }
  o.roots.assign(argv + optind, argv + argc);
  if (o.roots.empty()) {
    for (const char* path : documentation) {
      std::error_code none;
      if (std::filesystem::is_directory(path, none)) o.roots.emplace_back(path);
    }
    if (o.roots.empty()) {
      std::fputs("wordfreq: no documentation is installed here: name a directory\n", stderr);
      return {{}, 1};
    }
  }
  return {o, {}};
}

}  // namespace wordfreq
