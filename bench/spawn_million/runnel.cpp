// spawn_million: a million goroutines at once, then joined. No warm-up: first use of the memory
// is part of it.
#include <runnel/go.h>
#include <runnel/sync.h>

#include "common/arguments.h"
#include "common/metrics.h"
#include "common/stopwatch.h"

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  runnel::run(runnel::options{.max_procs = args.procs}, [&args] {
    const std::size_t count = args.scaled(1'000'000);
    const bench::stopwatch watch;
    runnel::wait_group joined;
    joined.add(static_cast<int>(count));
    for (std::size_t i = 0; i < count; ++i) {
      runnel::go([&joined] { joined.done(); });
    }
    joined.wait();
    bench::print_metrics({{"ns_each", watch.nanoseconds() / static_cast<double>(count)}});
  });
}
