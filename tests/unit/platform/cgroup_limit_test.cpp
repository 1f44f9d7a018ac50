// The cgroup's CPU limit, read from made-up /proc and /sys trees.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "platform/cpu.h"

namespace runnel::platform {
namespace {

namespace fs = std::filesystem;

// A machine's /proc/self and /sys/fs/cgroup in a temporary folder.
class cgroup_limit_test : public testing::Test {
 protected:
  cgroup_limit_test() {
    std::string pattern = fs::temp_directory_path() / "runnel_cgroup_XXXXXX";
    root = mkdtemp(pattern.data());
  }
  ~cgroup_limit_test() override { fs::remove_all(root); }

  void write(const std::string& path, const std::string& text) {
    fs::path full = root / path;
    fs::create_directories(full.parent_path());
    std::ofstream(full) << text;
  }
  // The process's groups, as /proc/self/cgroup lists them.
  void groups(const std::string& text) { write("proc/cgroup", text); }
  // Its mounts; `lines` stand among others.
  void mounts(const std::string& lines) {
    write("proc/mountinfo",
          "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
          "23 22 0:21 / /proc rw,nosuid shared:12 - proc proc rw\n" +
              lines + "40 22 0:33 / /tmp rw - tmpfs tmpfs rw\n");
  }
  void v2_mount(const std::string& mounted = "/", const std::string& point = "/sys/fs/cgroup") {
    mounts("31 24 0:26 " + mounted + " " + point +
           " rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
  }
  void v1_mount(const std::string& mounted = "/") {
    mounts(
        "31 24 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "32 24 0:27 " +
        mounted + " /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n");
  }
  void cpu_max(const std::string& group, const std::string& text) {
    write("sys/fs/cgroup" + group + "/cpu.max", text);
  }
  void cfs(const std::string& group, const std::string& quota, const std::string& period) {
    write("sys/fs/cgroup/cpu,cpuacct" + group + "/cpu.cfs_quota_us", quota + "\n");
    write("sys/fs/cgroup/cpu,cpuacct" + group + "/cpu.cfs_period_us", period + "\n");
  }
  std::optional<double> limit() { return cgroup_cpu_limit(root / "proc", root); }

  fs::path root;
};

constexpr std::nullopt_t no_limit = std::nullopt;

TEST_F(cgroup_limit_test, without_any_file_there_is_no_limit) { EXPECT_EQ(limit(), no_limit); }

TEST_F(cgroup_limit_test, without_a_mount_there_is_no_limit) {
  groups("0::/app\n");
  cpu_max("/app", "100000 100000\n");
  EXPECT_EQ(limit(), no_limit);
}

// --- version 2 ---

TEST_F(cgroup_limit_test, v2_quota_is_divided_by_the_period) {
  v2_mount();
  groups("0::/app\n");
  cpu_max("/app", "400000 100000\n");
  EXPECT_EQ(limit(), 4.0);
}

TEST_F(cgroup_limit_test, v2_quotas_may_be_fractions_of_a_cpu) {
  v2_mount();
  groups("0::/app\n");
  cpu_max("/app", "25000 100000\n");
  EXPECT_EQ(limit(), 0.25);
  cpu_max("/app", "150000 60000\n");
  EXPECT_EQ(limit(), 2.5);
}

TEST_F(cgroup_limit_test, v2_max_is_no_limit) {
  v2_mount();
  groups("0::/app\n");
  cpu_max("/app", "max 100000\n");
  EXPECT_EQ(limit(), no_limit);
}

TEST_F(cgroup_limit_test, v2_the_least_limit_along_the_path_counts) {
  v2_mount();
  groups("0::/a/b/c\n");
  cpu_max("/a/b/c", "800000 100000\n");
  cpu_max("/a/b", "300000 100000\n");
  cpu_max("/a", "500000 100000\n");
  EXPECT_EQ(limit(), 3.0);
  cpu_max("/a", "200000 100000\n");
  EXPECT_EQ(limit(), 2.0);
  cpu_max("/a/b/c", "100000 100000\n");
  EXPECT_EQ(limit(), 1.0);
}

TEST_F(cgroup_limit_test, v2_an_ancestor_limits_a_group_without_a_limit) {
  v2_mount();
  groups("0::/a/b\n");
  cpu_max("/a/b", "max 100000\n");
  cpu_max("/a", "600000 100000\n");
  EXPECT_EQ(limit(), 6.0);
}

TEST_F(cgroup_limit_test, v2_a_group_without_the_file_is_passed_over) {
  v2_mount();
  groups("0::/a/b/c\n");
  cpu_max("/a", "200000 100000\n");
  EXPECT_EQ(limit(), 2.0);
}

TEST_F(cgroup_limit_test, v2_the_root_of_a_namespace_may_have_a_limit) {
  v2_mount();
  groups("0::/\n");
  cpu_max("", "200000 100000\n");
  EXPECT_EQ(limit(), 2.0);
}

TEST_F(cgroup_limit_test, v2_other_groups_do_not_matter) {
  v2_mount();
  groups("0::/a/b\n");
  cpu_max("/a/b", "300000 100000\n");
  cpu_max("/a/bb", "100000 100000\n");
  cpu_max("/c", "100000 100000\n");
  cpu_max("/a/b/child", "100000 100000\n");
  EXPECT_EQ(limit(), 3.0);
}

TEST_F(cgroup_limit_test, v2_the_mounted_root_is_cut_from_the_group) {
  v2_mount("/docker/1234");
  groups("0::/docker/1234/app\n");
  cpu_max("/app", "700000 100000\n");
  cpu_max("", "900000 100000\n");
  EXPECT_EQ(limit(), 7.0);
  groups("0::/docker/1234\n");
  EXPECT_EQ(limit(), 9.0);
}

TEST_F(cgroup_limit_test, v2_a_mount_elsewhere_is_found) {
  v2_mount("/", "/mnt/groups");
  groups("0::/app\n");
  write("mnt/groups/app/cpu.max", "500000 100000\n");
  EXPECT_EQ(limit(), 5.0);
}

TEST_F(cgroup_limit_test, v2_a_mount_of_a_group_with_a_similar_name_is_not_ours) {
  v2_mount("/docker/12");
  groups("0::/docker/1234/app\n");
  cpu_max("", "100000 100000\n");
  EXPECT_EQ(limit(), no_limit);
}

TEST_F(cgroup_limit_test, v2_a_mount_of_another_group_is_not_ours) {
  v2_mount("/other");
  groups("0::/app\n");
  cpu_max("", "100000 100000\n");
  EXPECT_EQ(limit(), no_limit);
}

TEST_F(cgroup_limit_test, v2_a_group_outside_of_the_namespace_is_survived) {
  v2_mount();
  groups("0::/../../elsewhere\n");
  cpu_max("", "200000 100000\n");
  EXPECT_NO_THROW((void)limit());
}

// --- version 1 ---

TEST_F(cgroup_limit_test, v1_quota_is_divided_by_the_period) {
  v1_mount();
  groups("3:cpu,cpuacct:/app\n2:memory:/app\n1:name=systemd:/app\n");
  cfs("/app", "150000", "100000");
  EXPECT_EQ(limit(), 1.5);
}

TEST_F(cgroup_limit_test, v1_minus_one_is_no_limit) {
  v1_mount();
  groups("3:cpu,cpuacct:/app\n");
  cfs("/app", "-1", "100000");
  EXPECT_EQ(limit(), no_limit);
}

TEST_F(cgroup_limit_test, v1_the_least_limit_along_the_path_counts) {
  v1_mount();
  groups("3:cpu,cpuacct:/a/b\n");
  cfs("/a/b", "-1", "100000");
  cfs("/a", "300000", "100000");
  cfs("", "-1", "100000");
  EXPECT_EQ(limit(), 3.0);
}

TEST_F(cgroup_limit_test, v1_a_quota_without_a_period_is_no_limit) {
  v1_mount();
  groups("3:cpu,cpuacct:/app\n");
  write("sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_quota_us", "100000\n");
  EXPECT_EQ(limit(), no_limit);
}

TEST_F(cgroup_limit_test, v1_controllers_with_similar_names_are_not_the_cpus) {
  mounts(
      "31 24 0:26 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
      "32 24 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n");
  groups("4:cpuset:/small\n3:cpuacct,cpu:/app\n");
  cfs("/small", "100000", "100000");
  cfs("/app", "800000", "100000");
  EXPECT_EQ(limit(), 8.0);
}

TEST_F(cgroup_limit_test, v1_the_mounted_root_is_cut_from_the_group) {
  v1_mount("/docker/1234");
  groups("3:cpu,cpuacct:/docker/1234\n");
  cfs("", "250000", "100000");
  EXPECT_EQ(limit(), 2.5);
}

// --- both ---

TEST_F(cgroup_limit_test, with_both_versions_the_lesser_limit_counts) {
  mounts(
      "31 24 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
      "32 24 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n");
  groups("3:cpu,cpuacct:/one\n0::/two\n");
  cfs("/one", "300000", "100000");
  EXPECT_EQ(limit(), 3.0);
  write("sys/fs/cgroup/unified/two/cpu.max", "200000 100000\n");
  EXPECT_EQ(limit(), 2.0);
  cfs("/one", "100000", "100000");
  EXPECT_EQ(limit(), 1.0);
}

TEST_F(cgroup_limit_test, a_group_name_may_contain_colons) {
  v2_mount();
  groups("0::/a:b/c\n");
  cpu_max("/a:b/c", "200000 100000\n");
  EXPECT_EQ(limit(), 2.0);
}

// --- what should not be ---

TEST_F(cgroup_limit_test, junk_in_a_limit_is_no_limit) {
  v2_mount();
  groups("0::/app\n");
  for (const char* junk :
       {"", "\n", "junk", "junk junk\n", "100000\n", "100000 0\n", "0 100000\n", "-5 100000\n",
        "100000 -1\n", "100000 junk\n", "nan 100000\n", "100000 nan\n", "inf 100000\n"}) {
    cpu_max("/app", junk);
    EXPECT_EQ(limit(), no_limit) << junk;
  }
}

TEST_F(cgroup_limit_test, junk_among_the_groups_is_survived) {
  v2_mount();
  cpu_max("/app", "200000 100000\n");
  for (const char* junk : {"", "\n", ":", "::", "0:", "0:/x", "junk", "0::", "0::app", "0::a/b"}) {
    groups(std::string(junk) + "\n0::/app\n");
    EXPECT_NO_THROW(EXPECT_EQ(limit(), 2.0) << junk) << junk;
  }
}

TEST_F(cgroup_limit_test, junk_among_the_mounts_is_survived) {
  groups("0::/app\n");
  cpu_max("/app", "200000 100000\n");
  for (const char* junk : {"", "junk", "31", "31 24 0:26 /", "31 24 0:26 / /x rw", "- - - - - -",
                           "31 24 0:26 / /x rw - ", "31 24 0:26 / /x rw - cgroup2"}) {
    mounts(std::string(junk) + "\n31 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    EXPECT_NO_THROW(EXPECT_EQ(limit(), 2.0) << junk) << junk;
  }
}

}  // namespace
}  // namespace runnel::platform
