// spawn_million: a million fibers at once, then joined. No warm-up: first use of the memory is
// part of it.
#include "common/boost_fiber.h"

#include "common/arguments.h"
#include "common/metrics.h"
#include "common/stopwatch.h"

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  bench::run_boost_fiber(args.procs, [&args] {
    const std::size_t count = args.scaled(1'000'000);
    const bench::stopwatch watch;
    std::vector<boost::fibers::fiber> fibers;
    fibers.reserve(count);
    for (std::size_t i = 0; i < count; ++i) fibers.push_back(bench::spawn([] {}));
    for (auto& fiber : fibers) fiber.join();
    bench::print_metrics({{"ns_each", watch.nanoseconds() / static_cast<double>(count)}});
  });
}
