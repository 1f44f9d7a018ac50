#include "base/debug_switches.h"

#include <gtest/gtest.h>

namespace {

using runnel::base::debug_switch;

TEST(debug_switches, a_name_that_is_not_given_is_zero) {
  EXPECT_EQ(debug_switch("leak", ""), 0);
  EXPECT_EQ(debug_switch("leak", "other=1,leaks=2"), 0);
}

TEST(debug_switches, several_are_separated_by_commas) {
  EXPECT_EQ(debug_switch("leak", "a=3,leak=1,b=2"), 1);
  EXPECT_EQ(debug_switch("b", "a=3,leak=1,b=2"), 2);
}

TEST(debug_switches, the_last_of_a_name_counts) {
  EXPECT_EQ(debug_switch("leak", "leak=1,leak=0"), 0);
}

TEST(debug_switches, what_is_no_number_is_passed_over) {
  EXPECT_EQ(debug_switch("leak", "leak=yes"), 0);
  EXPECT_EQ(debug_switch("leak", "leak=1,leak=2x,leak="), 1);
  EXPECT_EQ(debug_switch("leak", "leak,=,,"), 0);
}

}  // namespace
