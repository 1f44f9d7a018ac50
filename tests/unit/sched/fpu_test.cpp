// The floating-point control state is the goroutine's: rounding, and on x86-64 denormals.

#include <fenv.h>
#include <gtest/gtest.h>

#include <atomic>

#include "runnel/runnel.h"
#include "support/scale.h"
#include "support/wait.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

using namespace std::chrono_literals;
using runnel::run;

constexpr int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};

// What the processor really does, not what a library remembers.
int rounding_in_effect() {
  volatile double one = 1, three = 3;
  double third = one / three, minus = -one / three;
  static const double nearest = 1.0 / 3.0;  // rounded down, to the nearest
  if (third > nearest) return FE_UPWARD;
  return minus < -nearest ? FE_DOWNWARD : fegetround();
}

TEST(fpu, rounding_travels_with_the_goroutine) {
  run({.max_procs = 8}, [] {
    std::atomic<int> wrong{0};
    runnel::wait_group wg;
    for (int i = 0; i < 200; ++i) {
      wg.go([&, i] {
        int mine = modes[i % 4];
        fesetround(mine);
        for (int k = 0; k < 50; ++k) {
          switch (k % 3) {
            case 0: runnel::yield(); break;
            case 1: runnel::sleep(1us * (1 + i % 20)); break;
            default: runnel::blocking([] {});
          }
          if (fegetround() != mine || rounding_in_effect() != mine) ++wrong;
        }
      });
    }
    wg.wait();
    EXPECT_EQ(wrong, 0);
  });
}

TEST(fpu, rounding_does_not_reach_goroutines_beside_it) {
  run({.max_procs = 1}, [] {
    std::atomic<int> wrong{0};
    runnel::wait_group wg;
    for (int i = 0; i < 20; ++i) {
      wg.go([&, i] {
        if (i % 2 == 0) fesetround(FE_UPWARD);
        for (int k = 0; k < 20; ++k) {
          runnel::yield();
          wrong += fegetround() != (i % 2 == 0 ? FE_UPWARD : FE_TONEAREST);
        }
      });
    }
    wg.wait();
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(fegetround(), FE_TONEAREST);
  });
}

TEST(fpu, rounding_does_not_reach_goroutines_that_begin_later_on_the_same_stack) {
  run({.max_procs = 1}, [] {
    int seen = -1;
    runnel::wait_group wg;
    wg.go([] { fesetround(FE_UPWARD); });
    wg.wait();
    wg.go([&] { seen = fegetround(); });
    wg.wait();
    EXPECT_EQ(seen, FE_TONEAREST);
    // Without a switch between the two.
    wg.go([&] { seen = fegetround(); });
    wg.go([] { fesetround(FE_UPWARD); });
    wg.wait();
    EXPECT_EQ(seen, FE_TONEAREST);
    EXPECT_EQ(fegetround(), FE_TONEAREST);
  });
}

TEST(fpu, rounding_of_a_main_goroutine_does_not_reach_the_next_run) {
  run({.max_procs = 1}, [] { fesetround(FE_UPWARD); });
  EXPECT_EQ(fegetround(), FE_TONEAREST);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(run({.max_procs = 1}, [] { return fegetround(); }), FE_TONEAREST);
  }
}

#if defined(__x86_64__)
TEST(fpu, flushing_of_denormals_travels_with_the_goroutine_and_stays_with_it) {
  run({.max_procs = 4}, [] {
    std::atomic<int> wrong{0};
    runnel::wait_group wg;
    for (int i = 0; i < 50; ++i) {
      wg.go([&, i] {
        bool flush = i % 2 == 0;
        _MM_SET_FLUSH_ZERO_MODE(flush ? _MM_FLUSH_ZERO_ON : _MM_FLUSH_ZERO_OFF);
        for (int k = 0; k < 50; ++k) {
          volatile double least = 2.2250738585072014e-308, half = 0.5;
          wrong += (least * half == 0) != flush;
          runnel::yield();
        }
      });
    }
    wg.wait();
    EXPECT_EQ(wrong, 0);
  });
  // And nobody who comes later has it.
  run({.max_procs = 4}, [] {
    std::atomic<int> wrong{0};
    runnel::wait_group wg;
    for (int i = 0; i < 100; ++i) {
      wg.go([&] { wrong += _MM_GET_FLUSH_ZERO_MODE() != _MM_FLUSH_ZERO_OFF; });
    }
    wg.wait();
    EXPECT_EQ(wrong, 0);
  });
}
#endif

}  // namespace
