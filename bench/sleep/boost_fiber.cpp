// sleep: 100,000 fibers each sleep 10 ms ten times; at best 100 ms in all. No warm-up.
#include "common/boost_fiber.h"

#include <chrono>

#include "common/arguments.h"
#include "common/metrics.h"
#include "common/stopwatch.h"

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  bench::run_boost_fiber(args.procs, [&args] {
    const std::size_t count = args.scaled(100'000);
    const bench::stopwatch watch;
    std::vector<boost::fibers::fiber> fibers;
    fibers.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      fibers.push_back(bench::spawn([] {
        for (int times = 0; times < 10; ++times) {
          boost::this_fiber::sleep_for(std::chrono::milliseconds(10));
        }
      }));
    }
    for (auto& fiber : fibers) fiber.join();
    bench::print_metrics({{"ms", watch.milliseconds()}});
  });
}
