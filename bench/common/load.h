// A load generator in a process of its own, for servers: built beside the contestants.
#pragma once

#include <sched.h>

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

// Runs a load generator and returns the number it prints.
inline double run_load(const std::string& prefix, const std::string& name,
                       const std::string& arguments) {
  auto here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  std::string command = prefix + (here / name).string() + " " + arguments;
  std::FILE* out = popen(command.c_str(), "re");
  double result = 0;
  if (out == nullptr || std::fscanf(out, "%lf", &result) != 1 || pclose(out) != 0) std::abort();
  return result;
}

}  // namespace bench
