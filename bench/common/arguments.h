// What every contestant is told: `--procs N`, how many worker threads run its goroutines
// (default 1), and `--scale F`, which part of the usual work to do (default 1; `bench/run
// --quick` asks for less).
#pragma once

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace bench {

struct arguments {
  int procs = 1;
  double scale = 1;

  arguments(int argc, char** argv) {
    for (int i = 1; i < argc; i += 2) {
      if (i + 1 == argc) usage(argv[0]);
      if (std::strcmp(argv[i], "--procs") == 0) {
        procs = std::atoi(argv[i + 1]);
      } else if (std::strcmp(argv[i], "--scale") == 0) {
        scale = std::atof(argv[i + 1]);
      } else {
        usage(argv[0]);
      }
    }
    if (procs < 1 || !(scale > 0)) usage(argv[0]);
  }

  // `usual` times the scale, but at least one.
  std::size_t scaled(std::size_t usual) const {
    const auto n = static_cast<std::size_t>(static_cast<double>(usual) * scale);
    return n > 0 ? n : 1;
  }

 private:
  [[noreturn]] static void usage(const char* program) {
    std::fprintf(stderr, "usage: %s [--procs N] [--scale F]\n", program);
    std::exit(2);
  }
};

}  // namespace bench
