// parked_million: a million fibers parked on a mutex that main holds: seconds until all are,
// bytes for each. No warm-up: first use of the memory is what is measured.
#include "common/boost_fiber.h"

#include <atomic>
#include <cstdlib>

#include "common/arguments.h"
#include "common/metrics.h"
#include "common/process.h"
#include "common/stopwatch.h"

namespace {

boost::fibers::mutex held;
std::atomic<std::size_t> arrived{0};
std::atomic<std::size_t> passed{0};

}  // namespace

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  bench::run_boost_fiber(args.procs, [&args] {
    const std::size_t count = args.scaled(1'000'000);
    const double before = bench::memory_bytes();
    const bench::stopwatch watch;
    held.lock();
    for (std::size_t i = 0; i < count; ++i) {
      bench::spawn([] {
        arrived.fetch_add(1);
        held.lock();
        passed.fetch_add(1);
        held.unlock();
      }).detach();
    }
    while (arrived.load() < count) boost::this_fiber::yield();
    const double seconds = watch.seconds();
    const double bytes = bench::memory_bytes() - before;
    bench::require(passed.load() == 0, "a fiber got past a mutex that is held");
    bench::print_metrics(
        {{"seconds", seconds}, {"bytes_each", bytes / static_cast<double>(count)}});
    std::_Exit(0);  // there is no leaving while fibers wait
  });
}
