// What the kernel says about this process: memory held and processor time used.
#pragma once

#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>

namespace bench {

// Resident memory plus the page tables that map it: sparse stacks pay in both.
inline double memory_bytes() {
  std::FILE* status = std::fopen("/proc/self/status", "r");
  if (status == nullptr) std::abort();
  char line[256];
  double kib = 0;
  while (std::fgets(line, sizeof line, status) != nullptr) {
    long value = 0;
    if (std::sscanf(line, "VmRSS: %ld kB", &value) == 1 ||
        std::sscanf(line, "VmPTE: %ld kB", &value) == 1) {
      kib += static_cast<double>(value);
    }
  }
  std::fclose(status);
  return kib * 1024;
}

// User and system time of all threads.
inline double cpu_milliseconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto milliseconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_usec) * 1e-3;
  };
  return milliseconds(used.ru_utime) + milliseconds(used.ru_stime);
}

}  // namespace bench
