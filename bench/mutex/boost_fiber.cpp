// mutex: eight fibers take one mutex in turns to add to one counter. Warm-up: a tenth of the turns.
#include "common/boost_fiber.h"

#include "common/arguments.h"
#include "common/metrics.h"
#include "common/stopwatch.h"

namespace {

constexpr std::size_t fiber_count = 8;

void count_under_mutex(std::size_t times_each) {
  boost::fibers::mutex mutex;
  std::size_t counter = 0;
  std::vector<boost::fibers::fiber> fibers;
  for (std::size_t f = 0; f < fiber_count; ++f) {
    fibers.push_back(bench::spawn([&mutex, &counter, times_each] {
      for (std::size_t i = 0; i < times_each; ++i) {
        mutex.lock();
        ++counter;
        mutex.unlock();
      }
    }));
  }
  for (auto& fiber : fibers) fiber.join();
  bench::require(counter == fiber_count * times_each, "the counter");
}

}  // namespace

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  bench::run_boost_fiber(args.procs, [&args] {
    const std::size_t times_each = args.scaled(5'000'000);
    count_under_mutex(times_each / 10);
    const bench::stopwatch watch;
    count_under_mutex(times_each);
    bench::print_metrics(
        {{"ns_per_pair", watch.nanoseconds() / static_cast<double>(fiber_count * times_each)}});
  });
}
