// mutex: eight goroutines take one mutex in turns to add to one counter. Warm-up: a tenth of the
// turns.
#include <runnel/go.h>
#include <runnel/sync.h>

#include "common/arguments.h"
#include "common/metrics.h"
#include "common/stopwatch.h"

namespace {

constexpr std::size_t goroutines = 8;

void count_under_mutex(std::size_t times_each) {
  runnel::mutex mutex;
  std::size_t counter = 0;
  runnel::wait_group joined;
  joined.add(goroutines);
  for (std::size_t g = 0; g < goroutines; ++g) {
    runnel::go([&mutex, &counter, &joined, times_each] {
      for (std::size_t i = 0; i < times_each; ++i) {
        mutex.lock();
        ++counter;
        mutex.unlock();
      }
      joined.done();
    });
  }
  joined.wait();
  bench::require(counter == goroutines * times_each, "the counter");
}

}  // namespace

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  runnel::run(runnel::options{.max_procs = args.procs}, [&args] {
    const std::size_t times_each = args.scaled(5'000'000);
    count_under_mutex(times_each / 10);
    const bench::stopwatch watch;
    count_under_mutex(times_each);
    bench::print_metrics(
        {{"ns_per_pair", watch.nanoseconds() / static_cast<double>(goroutines * times_each)}});
  });
}
