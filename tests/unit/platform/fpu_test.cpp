// The floating-point control state: saved, loaded, compared.

#include "platform/fpu.h"

#include <gtest/gtest.h>

#include <cfenv>

namespace runnel::platform {
namespace {

class fpu_test : public testing::Test {
 protected:
  void TearDown() override {
    fpu_control{}.load();
    std::feclearexcept(FE_ALL_EXCEPT);
  }
};

fpu_control current() {
  fpu_control c;
  c.save();
  return c;
}

double third() {
  volatile double one = 1, three = 3;
  return one / three;
}

TEST_F(fpu_test, a_program_begins_with_the_default) {
  EXPECT_TRUE(current().same_as(fpu_control{}));
}

TEST_F(fpu_test, another_rounding_mode_is_another_state) {
  for (int mode : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
    std::fesetround(mode);
    EXPECT_FALSE(current().same_as(fpu_control{})) << mode;
    EXPECT_FALSE(fpu_control{}.same_as(current())) << mode;
    EXPECT_TRUE(current().same_as(current())) << mode;
  }
}

TEST_F(fpu_test, what_was_saved_and_loaded_again_rounds_as_before) {
  double nearest = third();
  std::fesetround(FE_UPWARD);
  double up = third();
  ASSERT_NE(nearest, up);
  fpu_control upward = current();
  fpu_control{}.load();
  EXPECT_EQ(std::fegetround(), FE_TONEAREST);
  EXPECT_EQ(third(), nearest);
  upward.load();
  EXPECT_EQ(std::fegetround(), FE_UPWARD);
  EXPECT_EQ(third(), up);
  EXPECT_TRUE(current().same_as(upward));
}

TEST_F(fpu_test, exceptions_that_have_been_raised_make_no_difference) {
  std::feraiseexcept(FE_INEXACT | FE_DIVBYZERO | FE_OVERFLOW | FE_UNDERFLOW | FE_INVALID);
  ASSERT_NE(std::fetestexcept(FE_DIVBYZERO), 0);
  EXPECT_TRUE(current().same_as(fpu_control{}));
}

TEST_F(fpu_test, saving_changes_nothing) {
  std::fesetround(FE_DOWNWARD);
  std::feraiseexcept(FE_DIVBYZERO);
  current();
  EXPECT_EQ(std::fegetround(), FE_DOWNWARD);
  EXPECT_NE(std::fetestexcept(FE_DIVBYZERO), 0);
}

// Denormals are zero, by a register that each machine has in its own place.
void expect_flushing(const fpu_control& flushing) {
  volatile double least = 2.2250738585072014e-308, half = 0.5;
  EXPECT_FALSE(flushing.same_as(fpu_control{}));
  flushing.load();
  EXPECT_TRUE(current().same_as(flushing));
  EXPECT_EQ(least * half, 0.0);
  fpu_control{}.load();
  EXPECT_NE(least * half, 0.0);
}

#if defined(__x86_64__)
TEST_F(fpu_test, the_treatment_of_denormals_is_part_of_it) {
  fpu_control flushing;
  flushing.mxcsr |= 0x8040;
  expect_flushing(flushing);
}

TEST_F(fpu_test, the_precision_of_x87_is_part_of_it) {
  fpu_control single;
  single.x87 = 0x007f;
  EXPECT_FALSE(single.same_as(fpu_control{}));
  volatile long double one = 1, three = 3;
  long double precise = one / three;
  single.load();
  EXPECT_TRUE(current().same_as(single));
  EXPECT_NE(one / three, precise);
  fpu_control{}.load();
  EXPECT_EQ(one / three, precise);
}
#else
TEST_F(fpu_test, the_treatment_of_denormals_is_part_of_it) {
  fpu_control flushing;
  flushing.fpcr |= 1u << 24;
  expect_flushing(flushing);
}
#endif

}  // namespace
}  // namespace runnel::platform
