#include "progress.h"

#include <unistd.h>

#include <cinttypes>
#include <cstdio>

namespace wordfreq {

namespace {

bool on_terminal() {
  static const bool yes = isatty(STDERR_FILENO) == 1;
  return yes;
}

}  // namespace

void draw_progress(const progress& now, double seconds) {
  const double megabytes = static_cast<double>(now.bytes) / 1e6;
  std::fprintf(stderr, "%s%" PRIu64 " files, %.1f MB, %.1f MB/s%s", on_terminal() ? "\r" : "",
               now.files, megabytes, megabytes / seconds, on_terminal() ? "\x1b[K" : "\n");
}

void erase_progress() {
  if (on_terminal()) std::fputs("\r\x1b[K", stderr);
}

}  // namespace wordfreq
