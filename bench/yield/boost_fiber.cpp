// yield: two fibers yield to one another; time over the yields of both. Warm-up: a tenth of the
// yields.
#include "common/boost_fiber.h"

#include "common/arguments.h"
#include "common/metrics.h"
#include "common/stopwatch.h"

namespace {

constexpr std::size_t fiber_count = 2;

void yield_to_one_another(std::size_t times_each) {
  std::vector<boost::fibers::fiber> fibers;
  for (std::size_t f = 0; f < fiber_count; ++f) {
    fibers.push_back(bench::spawn([times_each] {
      for (std::size_t i = 0; i < times_each; ++i) boost::this_fiber::yield();
    }));
  }
  for (auto& fiber : fibers) fiber.join();
}

}  // namespace

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  bench::run_boost_fiber(args.procs, [&args] {
    const std::size_t times_each = args.scaled(10'000'000);
    yield_to_one_another(times_each / 10);
    const bench::stopwatch watch;
    yield_to_one_another(times_each);
    bench::print_metrics(
        {{"ns_per_yield", watch.nanoseconds() / static_cast<double>(fiber_count * times_each)}});
  });
}
