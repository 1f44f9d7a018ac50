// sleep: 100,000 goroutines each sleep 10 ms ten times; at best 100 ms in all. No warm-up.
#include <runnel/go.h>
#include <runnel/sync.h>
#include <runnel/time.h>

#include <chrono>

#include "common/arguments.h"
#include "common/metrics.h"
#include "common/stopwatch.h"

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  runnel::run(runnel::options{.max_procs = args.procs}, [&args] {
    const std::size_t count = args.scaled(100'000);
    const bench::stopwatch watch;
    runnel::wait_group joined;
    joined.add(static_cast<int>(count));
    for (std::size_t i = 0; i < count; ++i) {
      runnel::go([&joined] {
        for (int times = 0; times < 10; ++times) runnel::sleep(std::chrono::milliseconds(10));
        joined.done();
      });
    }
    joined.wait();
    bench::print_metrics({{"ms", watch.milliseconds()}});
  });
}
