// yield: two goroutines yield to one another; time over the yields of both. Warm-up: a tenth of
// the yields.
#include <runnel/go.h>
#include <runnel/sync.h>

#include "common/arguments.h"
#include "common/metrics.h"
#include "common/stopwatch.h"

namespace {

constexpr std::size_t goroutines = 2;

void yield_to_one_another(std::size_t times_each) {
  runnel::wait_group joined;
  joined.add(goroutines);
  for (std::size_t g = 0; g < goroutines; ++g) {
    runnel::go([&joined, times_each] {
      for (std::size_t i = 0; i < times_each; ++i) runnel::yield();
      joined.done();
    });
  }
  joined.wait();
}

}  // namespace

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  runnel::run(runnel::options{.max_procs = args.procs}, [&args] {
    const std::size_t times_each = args.scaled(10'000'000);
    yield_to_one_another(times_each / 10);
    const bench::stopwatch watch;
    yield_to_one_another(times_each);
    bench::print_metrics(
        {{"ns_per_yield", watch.nanoseconds() / static_cast<double>(goroutines * times_each)}});
  });
}
