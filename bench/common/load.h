// A load generator in a process of its own, for servers: built beside the contestants.
#pragma once

#include <sched.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace bench {

// With one P the server has the first CPU for itself and the load generator another; with more, both have all.
// To be called before anything else. Returns how a command is to be begun.
inline std::string share_cpus(int procs) {
  if (procs != 1) return {};
  cpu_set_t all;
  CPU_ZERO(&all);
  sched_getaffinity(0, sizeof all, &all);
  int first = -1;
  int other = -1;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (!CPU_ISSET(i, &all)) continue;
    if (first < 0) {
      first = i;
    } else {
      other = i;
      break;
    }
  }
  if (other < 0) return {};
  cpu_set_t own;
  CPU_ZERO(&own);
  CPU_SET(first, &own);
  sched_setaffinity(0, sizeof own, &own);
  return "taskset -c " + std::to_string(other) + " ";
}

// As many descriptors as this process may have at all.
inline void allow_descriptors() {
  rlimit most{};
  getrlimit(RLIMIT_NOFILE, &most);
  most.rlim_cur = most.rlim_max;
  setrlimit(RLIMIT_NOFILE, &most);
}

// Runs a load generator and returns the line it prints.
inline std::string load_output(const std::string& prefix, const std::string& name,
                               const std::string& arguments) {
  auto here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  std::string command = prefix + (here / name).string() + " " + arguments;
  std::FILE* out = popen(command.c_str(), "re");
  char line[256];
  if (out == nullptr || std::fgets(line, sizeof line, out) == nullptr || pclose(out) != 0) {
    std::abort();
  }
  return line;
}

// One that prints a number.
inline double run_load(const std::string& prefix, const std::string& name,
                       const std::string& arguments) {
  return std::stod(load_output(prefix, name, arguments));
}

// One that prints the metrics.
inline void pass_load(const std::string& prefix, const std::string& name,
                      const std::string& arguments) {
  std::fputs(load_output(prefix, name, arguments).c_str(), stdout);
  std::fflush(stdout);
}

}  // namespace bench
