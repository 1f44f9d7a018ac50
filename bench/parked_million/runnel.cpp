// parked_million: a million goroutines parked on a mutex that main holds: seconds until all are,
// bytes for each. No warm-up: first use of the memory is what is measured.
#include <runnel/go.h>
#include <runnel/sync.h>

#include <atomic>

#include "common/arguments.h"
#include "common/metrics.h"
#include "common/process.h"
#include "common/stopwatch.h"

namespace {

// Outlive main, which ends while the others still wait.
runnel::mutex held;
std::atomic<std::size_t> arrived{0};
std::atomic<std::size_t> passed{0};

}  // namespace

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  runnel::run(runnel::options{.max_procs = args.procs}, [&args] {
    const std::size_t count = args.scaled(1'000'000);
    const double before = bench::memory_bytes();
    const bench::stopwatch watch;
    held.lock();
    for (std::size_t i = 0; i < count; ++i) {
      runnel::go([] {
        arrived.fetch_add(1);
        held.lock();
        passed.fetch_add(1);
        held.unlock();
      });
    }
    while (arrived.load() < count) runnel::yield();
    const double seconds = watch.seconds();
    const double bytes = bench::memory_bytes() - before;
    bench::require(passed.load() == 0, "a goroutine got past a mutex that is held");
    bench::print_metrics(
        {{"seconds", seconds}, {"bytes_each", bytes / static_cast<double>(count)}});
  });
}
