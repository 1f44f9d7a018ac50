// The next timer is always watched, whichever way the Ps went idle.
//
// Once it was not: a sleeper waited for another P's far timers while a goroutine of a busy P went to sleep for
// a short time (nobody was idle yet, so nobody was told), and then that P's M went idle and saw that there
// was a sleeper already.

#include <gtest/gtest.h>

#include <chrono>

#include "runnel/go.h"
#include "runnel/sync.h"
#include "runnel/time.h"
#include "support/scale.h"

namespace {

using namespace std::chrono_literals;

class timer_watch_stress : public testing::TestWithParam<int> {};

TEST_P(timer_watch_stress, a_short_sleep_ends_among_long_ones) {
  for (int round = 0; round < test::scaled(1000); ++round) {
    runnel::run({.max_procs = GetParam()}, [round] {
      for (int i = 0; i < 10; ++i) runnel::go([] { runnel::sleep(1h); });
      runnel::sleep(std::chrono::microseconds(50 + round % 64 * 20));
    });
  }
}

INSTANTIATE_TEST_SUITE_P(procs, timer_watch_stress, testing::Values(1, 2, 8));

}  // namespace
