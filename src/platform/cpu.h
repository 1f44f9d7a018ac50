#pragma once
// How much processor this process may use: its affinity mask and its cgroup's quota.

#include <optional>
#include <string>

namespace runnel::platform {

// CPUs in the affinity mask; at least 1.
int affinity_cpus() noexcept;

// The cgroup's CPU bandwidth limit in CPUs (quota divided by period): the least along the path from the
// process's group to the root, cgroup v2's cpu.max or v1's cpu.cfs_quota_us. Empty: no limit.
// `proc` and `sys` stand for /proc/self and / in tests.
std::optional<double> cgroup_cpu_limit(const std::string& proc = "/proc/self",
                                       const std::string& sys = "");

// The number of Ps that fits both: the affinity mask, and the limit rounded up (with a P less the quota could
// not be used up).
int usable_cpus();

}  // namespace runnel::platform
