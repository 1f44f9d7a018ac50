#include "platform/cpu.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <vector>

namespace runnel::platform {
namespace {

std::optional<std::string> first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  if (!in || !std::getline(in, line)) return std::nullopt;
  return line;
}

std::optional<double> ratio(const std::string& quota, const std::string& period) {
  char* end = nullptr;
  double q = std::strtod(quota.c_str(), &end);
  if (end == quota.c_str() || !std::isfinite(q) || q <= 0) return std::nullopt;  // "max" or -1
  double p = std::strtod(period.c_str(), nullptr);
  if (!std::isfinite(p) || p <= 0) return std::nullopt;
  return q / p;
}

// Version 2: "<quota|max> <period>".
std::optional<double> limit_v2(const std::string& dir) {
  auto line = first_line(dir + "/cpu.max");
  if (!line) return std::nullopt;
  std::istringstream words(*line);
  std::string quota, period;
  words >> quota >> period;
  return ratio(quota, period);
}

std::optional<double> limit_v1(const std::string& dir) {
  auto quota = first_line(dir + "/cpu.cfs_quota_us");
  auto period = first_line(dir + "/cpu.cfs_period_us");
  if (!quota || !period) return std::nullopt;
  return ratio(*quota, *period);
}

void lower(std::optional<double>& limit, std::optional<double> other) {
  if (other && (!limit || *other < *limit)) limit = other;
}

struct mount {
  std::string root;   // the group that is mounted
  std::string point;  // where
  bool v2 = false;
};

// mountinfo writes blanks, tabs, newlines and backslashes in octal.
std::string unescape(const std::string& text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto octal = [&](std::size_t at) { return text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && i + 3 < text.size() && octal(i + 1) && octal(i + 2) && octal(i + 3)) {
      plain +=
          static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + text[i + 3] - '0');
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

// The mount of the cpu controller (v1) and of the unified hierarchy (v2), from mountinfo:
// "36 35 98:0 /root /point options - type source super-options".
std::vector<mount> cgroup_mounts(const std::string& proc) {
  std::vector<mount> mounts;
  std::ifstream in(proc + "/mountinfo");
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string id, parent, device, word, type, source, super;
    mount m;
    words >> id >> parent >> device >> m.root >> m.point;
    m.root = unescape(m.root);
    m.point = unescape(m.point);
    while (words >> word && word != "-") {
    }
    words >> type >> source >> super;
    m.v2 = type == "cgroup2";
    bool has_cpu = ("," + super + ",").find(",cpu,") != std::string::npos;
    if (m.v2 || (type == "cgroup" && has_cpu)) mounts.push_back(m);
  }
  return mounts;
}

// From the group up to the mount's root: every ancestor limits. A mount that does not show our group tells
// nothing about us.
std::optional<double> limit_along(const mount& m, std::string group, const std::string& sys) {
  if (!group.starts_with('/')) return std::nullopt;
  if (m.root != "/") {
    if (group != m.root && !group.starts_with(m.root + "/")) return std::nullopt;
    group.erase(0, m.root.size());
  }
  std::optional<double> limit;
  for (;;) {
    while (group.ends_with('/')) group.pop_back();
    std::string dir = sys + m.point + group;
    lower(limit, m.v2 ? limit_v2(dir) : limit_v1(dir));
    if (group.empty()) return limit;
    group.erase(group.rfind('/'));
  }
}

}  // namespace

int affinity_cpus() noexcept {
  // Machines beyond 1024 CPUs need a larger set than cpu_set_t.
  for (std::size_t cpus = CPU_SETSIZE; cpus <= (1u << 20); cpus *= 2) {
    cpu_set_t* set = CPU_ALLOC(cpus);
    if (set == nullptr) break;
    std::size_t size = CPU_ALLOC_SIZE(cpus);
    int rc = sched_getaffinity(0, size, set);
    int count = rc == 0 ? CPU_COUNT_S(size, set) : 0;
    CPU_FREE(set);
    if (rc == 0) return std::max(count, 1);
    if (errno != EINVAL) break;
  }
  return 1;
}

std::optional<double> cgroup_cpu_limit(const std::string& proc, const std::string& sys) {
  std::optional<double> limit;
  auto mounts = cgroup_mounts(proc);
  std::ifstream groups(proc + "/cgroup");
  // "hierarchy:controllers:group"; version 2 is hierarchy 0 without controllers.
  for (std::string line; std::getline(groups, line);) {
    auto first = line.find(':');
    auto second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    bool v2 = controllers == ",,";
    if (!v2 && controllers.find(",cpu,") == std::string::npos) continue;
    for (const mount& m : mounts) {
      if (m.v2 == v2) lower(limit, limit_along(m, line.substr(second + 1), sys));
    }
  }
  return limit;
}

int usable_cpus() {
  int cpus = affinity_cpus();
  if (auto limit = cgroup_cpu_limit()) {
    cpus = std::min(cpus, std::max(1, static_cast<int>(std::ceil(std::min(*limit, 1e6)))));
  }
  return cpus;
}

}  // namespace runnel::platform
