// timer: eight goroutines each make timers of an hour and stop them at once; time of a timer.
// Warm-up: a tenth of them.
#include <runnel/go.h>
#include <runnel/sync.h>
#include <runnel/time.h>

#include <atomic>
#include <chrono>

#include "common/arguments.h"
#include "common/metrics.h"
#include "common/stopwatch.h"

namespace {

constexpr std::size_t goroutines = 8;

void make_and_stop(std::size_t times_each) {
  std::atomic<std::size_t> stopped = 0;
  runnel::wait_group joined;
  joined.add(goroutines);
  for (std::size_t g = 0; g < goroutines; ++g) {
    runnel::go([&stopped, &joined, times_each] {
      std::size_t in_time = 0;
      for (std::size_t i = 0; i < times_each; ++i) {
        runnel::timer timer(std::chrono::hours(1));
        if (timer.stop()) ++in_time;
      }
      stopped += in_time;
      joined.done();
    });
  }
  joined.wait();
  bench::require(stopped == goroutines * times_each, "stopped in time");
}

}  // namespace

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  runnel::run(runnel::options{.max_procs = args.procs}, [&args] {
    const std::size_t times_each = args.scaled(500'000);
    make_and_stop(times_each / 10);
    const bench::stopwatch watch;
    make_and_stop(times_each);
    bench::print_metrics(
        {{"ns_per_timer", watch.nanoseconds() / static_cast<double>(goroutines * times_each)}});
  });
}
