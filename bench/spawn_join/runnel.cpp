// spawn_join: batches of 1000 goroutines, each batch joined by a wait group. Warm-up: a tenth of
// the batches.
#include <runnel/go.h>
#include <runnel/sync.h>

#include "common/arguments.h"
#include "common/metrics.h"
#include "common/stopwatch.h"

namespace {

constexpr std::size_t batch_size = 1000;

void spawn_and_join(std::size_t batches) {
  runnel::wait_group joined;
  for (std::size_t batch = 0; batch < batches; ++batch) {
    joined.add(batch_size);
    for (std::size_t i = 0; i < batch_size; ++i) {
      runnel::go([&joined] { joined.done(); });
    }
    joined.wait();
  }
}

}  // namespace

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  runnel::run(runnel::options{.max_procs = args.procs}, [&args] {
    const std::size_t batches = args.scaled(3000);
    spawn_and_join(args.scaled(300));
    const bench::stopwatch watch;
    spawn_and_join(batches);
    bench::print_metrics(
        {{"ns_each", watch.nanoseconds() / static_cast<double>(batches * batch_size)}});
  });
}
