// The generator of scheduling choices: the published sequence, bounds and uniformity.

#include "base/random.h"

#include <gtest/gtest.h>

#include <vector>

namespace runnel::base {
namespace {

TEST(random_test, produces_the_published_sequence_of_splitmix64) {
  base::random rng(1234567);
  EXPECT_EQ(rng.next(), 6457827717110365317u);
  EXPECT_EQ(rng.next(), 3203168211198807973u);
  EXPECT_EQ(rng.next(), 9817491932198370423u);
  EXPECT_EQ(rng.next(), 4593380528125082431u);
  EXPECT_EQ(rng.next(), 16408922859458223821u);
}

TEST(random_test, repeats_itself_for_the_same_seed) {
  base::random a(42), b(42);
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(a.next(), b.next());
}

TEST(random_test, differs_for_another_seed) {
  base::random a(1), b(2);
  int equal = 0;
  for (int i = 0; i < 1000; ++i) equal += a.next() == b.next();
  EXPECT_EQ(equal, 0);
}

TEST(random_test, stays_below_the_bound) {
  base::random rng(3);
  for (std::uint32_t bound : {1u, 2u, 3u, 7u, 61u, 256u, 1000003u, 0x80000001u, 0xffffffffu}) {
    for (int i = 0; i < 10'000; ++i) ASSERT_LT(rng.below(bound), bound);
  }
}

TEST(random_test, reaches_both_ends_of_the_range) {
  base::random rng(4);
  for (std::uint32_t bound : {1u, 2u, 3u, 10u, 100u}) {
    bool least = false, most = false;
    for (int i = 0; i < 10'000; ++i) {
      std::uint32_t n = rng.below(bound);
      least |= n == 0;
      most |= n == bound - 1;
    }
    EXPECT_TRUE(least) << bound;
    EXPECT_TRUE(most) << bound;
  }
}

// Chi squared with n - 1 degrees of freedom; mean + 6 standard deviations. The seed is fixed, so that the test
// fails always or never.
TEST(random_test, is_uniform_below_any_bound) {
  for (std::uint32_t bound : {2u, 3u, 4u, 7u, 61u, 100u, 255u}) {
    base::random rng(5);
    constexpr int per_cell = 1000;
    std::vector<int> cells(bound);
    for (std::uint32_t i = 0; i < bound * per_cell; ++i) ++cells[rng.below(bound)];
    double chi_squared = 0;
    for (int c : cells) chi_squared += double(c - per_cell) * (c - per_cell) / per_cell;
    double freedom = bound - 1;
    double excess = chi_squared - freedom;
    EXPECT_LT(excess * excess, 36 * 2 * freedom + 36) << bound << ": " << chi_squared;
  }
}

TEST(random_test, has_no_memory_from_one_number_to_the_next) {
  base::random rng(6);
  constexpr int cells = 8, per_cell = 2000;
  int pairs[cells][cells] = {};
  std::uint32_t last = rng.below(cells);
  for (int i = 0; i < cells * cells * per_cell; ++i) {
    std::uint32_t n = rng.below(cells);
    ++pairs[last][n];
    last = n;
  }
  for (auto& row : pairs) {
    for (int count : row) EXPECT_NEAR(count, per_cell, 6 * 45);  // 45: the root of per_cell
  }
}

}  // namespace
}  // namespace runnel::base
