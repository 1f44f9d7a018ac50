// Address space: reserving, guarding and giving back.

#include "platform/address_space.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "support/fresh_process.h"
#include "support/memory_probe.h"
#include "support/scale.h"

namespace runnel::platform {
namespace {

using test::memory_probe;
using test::resident_pages;

class address_space_test : public testing::Test {
 protected:
  ~address_space_test() override {
    if (begin != nullptr) unreserve(begin, size);
  }
  char* reserve_pages(std::size_t pages, std::size_t alignment = page_size()) {
    size = pages * page_size();
    begin = static_cast<char*>(reserve(size, alignment));
    return begin;
  }
  char* page(std::size_t n) { return begin + n * page_size(); }

  // `count` one-page guards, each followed by an ordinary page.
  std::vector<range> every_other_page(std::size_t count) {
    std::vector<range> ranges(count);
    for (std::size_t i = 0; i < count; ++i) ranges[i] = {page(2 * i), page_size()};
    return ranges;
  }

  memory_probe probe;
  char* begin = nullptr;
  std::size_t size = 0;
};

std::size_t count_mappings() {
  std::ifstream in("/proc/self/maps");
  std::size_t count = 0;
  for (std::string line; std::getline(in, line);) ++count;
  return count;
}

std::size_t mapping_limit() {
  std::size_t limit = 65530;
  std::ifstream("/proc/sys/vm/max_map_count") >> limit;
  return limit;
}

TEST_F(address_space_test, a_page_is_what_the_system_says) {
  EXPECT_EQ(page_size(), static_cast<std::size_t>(sysconf(_SC_PAGESIZE)));
}

TEST_F(address_space_test, reserve_keeps_any_alignment) {
  for (std::size_t alignment = page_size(); alignment <= (64u << 20); alignment *= 2) {
    std::size_t bytes = 3 * page_size();
    auto* p = static_cast<char*>(reserve(bytes, alignment));
    ASSERT_NE(p, nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(p) % alignment, 0u);
    p[0] = p[bytes - 1] = 1;
    unreserve(p, bytes);
  }
}

TEST_F(address_space_test, an_aligned_reservation_leaves_nothing_mapped_around_it) {
  // Not ours alone: ThreadSanitizer maps shadow for every piece.
  if (test::has_tsan) GTEST_SKIP() << "mappings are not ours alone here";
  std::size_t before = count_mappings();
  for (int i = 0; i < 50; ++i) {
    void* p = reserve(page_size(), 4 << 20);
    ASSERT_NE(p, nullptr);
    unreserve(p, page_size());
  }
  EXPECT_LE(count_mappings(), before + 5);
}

TEST_F(address_space_test, reserved_memory_is_zero_and_not_resident_until_touched) {
  ASSERT_NE(reserve_pages(256), nullptr);
  EXPECT_EQ(resident_pages(begin, size), 0u);
  EXPECT_EQ(*page(100), 0);
  *page(200) = 1;
  EXPECT_LE(resident_pages(begin, size), 2u);
  EXPECT_EQ(resident_pages(page(200), page_size()), 1u);
}

TEST_F(address_space_test, a_touched_page_stays_one_page_in_a_large_reservation) {
  ASSERT_NE(reserve_pages((16 << 20) / page_size(), 2 << 20), nullptr);
  *page(1000) = 1;
  EXPECT_EQ(resident_pages(begin, size), 1u);
}

TEST_F(address_space_test, what_cannot_be_had_is_nullptr_and_errno_says_why) {
  errno = 0;
  EXPECT_EQ(reserve(std::size_t{1} << 62, page_size()), nullptr);
  EXPECT_EQ(errno, ENOMEM);
}

TEST_F(address_space_test, unreserved_memory_is_gone) {
  ASSERT_NE(reserve_pages(4), nullptr);
  EXPECT_TRUE(probe.readable(begin));
  char* was = begin;
  unreserve(begin, size);
  begin = nullptr;
  EXPECT_FALSE(probe.readable(was));
}

TEST_F(address_space_test, guarded_ranges_fault_and_their_neighbours_do_not) {
  ASSERT_NE(reserve_pages(8), nullptr);
  range guards[] = {{page(1), 2 * page_size()}, {page(5), page_size()}};
  ASSERT_EQ(install_guards(guards), 2u);
  for (std::size_t n = 0; n < 8; ++n) {
    bool guarded = n == 1 || n == 2 || n == 5;
    EXPECT_EQ(probe.readable(page(n)), !guarded) << n;
    EXPECT_EQ(probe.readable(page(n + 1) - 1), !guarded) << n;
    EXPECT_EQ(probe.writable(page(n)), !guarded) << n;
  }
}

TEST_F(address_space_test, a_guard_forgets_what_was_there) {
  ASSERT_NE(reserve_pages(4), nullptr);
  std::memset(begin, 1, size);
  range guard{page(1), page_size()};
  ASSERT_EQ(install_guards({&guard, 1}), 1u);
  EXPECT_FALSE(probe.readable(page(1)));
  EXPECT_EQ(*page(0), 1);
  EXPECT_EQ(*page(2), 1);
}

using address_space_death_test = address_space_test;

TEST_F(address_space_death_test, touching_a_guard_kills) {
  ASSERT_NE(reserve_pages(4), nullptr);
  range guard{page(1), page_size()};
  ASSERT_EQ(install_guards({&guard, 1}), 1u);
  EXPECT_DEATH(*static_cast<volatile char*>(page(1)) = 1, "");
  *static_cast<volatile char*>(page(0)) = 1;
}

TEST_F(address_space_test, no_ranges_are_no_work) { EXPECT_EQ(install_guards({}), 0u); }

TEST_F(address_space_test, more_guards_than_a_call_takes_are_all_installed) {
  constexpr std::size_t count = 150;
  ASSERT_NE(reserve_pages(2 * count), nullptr);
  ASSERT_EQ(install_guards(every_other_page(count)), count);
  for (std::size_t n = 0; n < 2 * count; ++n) ASSERT_EQ(probe.readable(page(n)), n % 2 == 1) << n;
}

TEST_F(address_space_test, guards_that_cannot_be_installed_are_not_counted) {
  ASSERT_NE(reserve_pages(8), nullptr);
  std::vector<range> ranges = every_other_page(4);
  ranges[2].begin = page(4) + 1;  // not a page
  EXPECT_EQ(install_guards(ranges), 2u);
  EXPECT_FALSE(probe.readable(page(0)));
  EXPECT_FALSE(probe.readable(page(2)));
}

TEST_F(address_space_test, a_hundred_thousand_light_guards_are_no_mappings) {
  if (!has_light_guards()) GTEST_SKIP() << "this kernel has no light guards";
  constexpr std::size_t count = 100'000;
  ASSERT_NE(reserve_pages(2 * count), nullptr);
  std::size_t before = count_mappings();
  ASSERT_EQ(install_guards(every_other_page(count)), count);
  EXPECT_LE(count_mappings(), before + 10);  // the allocator's, perhaps
  EXPECT_FALSE(probe.readable(page(0)));
  EXPECT_FALSE(probe.readable(page(2 * count - 2)));
}

TEST_F(address_space_test, discarded_pages_are_not_resident_and_read_as_zero) {
  constexpr std::size_t count = 100;  // more than a call takes
  ASSERT_NE(reserve_pages(2 * count), nullptr);
  std::memset(begin, 1, size);
  ASSERT_EQ(resident_pages(begin, size), 2 * count);
  discard(every_other_page(count));
  EXPECT_EQ(resident_pages(begin, size), count);
  for (std::size_t n = 0; n < 2 * count; ++n) ASSERT_EQ(*page(n), n % 2) << n;
}

TEST_F(address_space_test, guards_inside_a_discarded_range_stay) {
  ASSERT_NE(reserve_pages(8), nullptr);
  std::memset(begin, 1, size);
  range guard{page(3), page_size()};
  ASSERT_EQ(install_guards({&guard, 1}), 1u);
  range all{begin, size};
  discard({&all, 1});
  EXPECT_FALSE(probe.readable(page(3)));
  EXPECT_EQ(*page(2), 0);
  EXPECT_EQ(*page(4), 0);
  EXPECT_EQ(resident_pages(page(5), 3 * page_size()), 0u);
}

// Kernels before 6.13: guards are mappings.
void forbid_light_guards() { setenv("RUNNEL_GUARD", "mprotect", 1); }

TEST_F(address_space_death_test, guards_without_kernel_support_fault_too) {
  test::die_in_a_fresh_process();
  auto guard_and_look = [this] {
    forbid_light_guards();
    if (has_light_guards()) _exit(10);
    reserve_pages(200);
    if (install_guards(every_other_page(100)) != 100) _exit(11);
    for (std::size_t n = 0; n < 200; ++n) {
      if (probe.readable(page(n)) != (n % 2 == 1)) _exit(12);
    }
    range all{begin, size};
    *page(1) = 1;
    discard({&all, 1});
    if (*page(1) != 0) _exit(13);
    if (probe.readable(page(0)) || probe.readable(page(198))) _exit(14);
    _exit(0);
  };
  EXPECT_EXIT(guard_and_look(), testing::ExitedWithCode(0), "");
}

TEST_F(address_space_death_test,
       guards_without_kernel_support_leave_the_program_half_of_its_mappings) {
  if (!test::can_start_itself()) GTEST_SKIP() << "an emulator needs mappings of its own";
  if (mapping_limit() > 2'000'000) GTEST_SKIP() << "vm.max_map_count is too large to be used up";
  test::die_in_a_fresh_process();
  auto use_up = [this] {
    forbid_light_guards();
    std::size_t budget = mapping_limit() / 4;  // two mappings to a guard
    std::size_t asked = budget + 100;
    reserve_pages(2 * asked);
    std::vector<range> ranges = every_other_page(asked);
    std::size_t before = count_mappings();
    if (install_guards(std::span(ranges).first(10)) != 10) _exit(10);
    if (install_guards(std::span(ranges).subspan(10)) != budget - 10) _exit(11);
    if (probe.readable(page(2 * budget - 2))) _exit(12);
    if (!probe.readable(page(2 * budget))) _exit(13);
    if (install_guards(std::span(ranges).last(1)) != 0) _exit(14);
    if (count_mappings() - before > mapping_limit() / 2 + 10) _exit(15);
    _exit(0);
  };
  EXPECT_EXIT(use_up(), testing::ExitedWithCode(0), "");
}

TEST_F(address_space_test, readable_asks_without_reading) {
  char* at = reserve_pages(2);
  auto address = reinterpret_cast<std::uintptr_t>(at);
  EXPECT_TRUE(readable(address));
  EXPECT_TRUE(readable(address + 3));
  ASSERT_EQ(mprotect(at, page_size(), PROT_NONE), 0);
  EXPECT_FALSE(readable(address));
  EXPECT_FALSE(readable(address + page_size() - 1));
  EXPECT_TRUE(readable(address + page_size()));
  EXPECT_FALSE(readable(0));
}

}  // namespace
}  // namespace runnel::platform
