// spawn_join: batches of 1000 fibers, each joined (there is no wait group). Warm-up: a tenth of
// the batches.
#include "common/boost_fiber.h"

#include "common/arguments.h"
#include "common/metrics.h"
#include "common/stopwatch.h"

namespace {

constexpr std::size_t batch_size = 1000;

void spawn_and_join(std::size_t batches) {
  std::vector<boost::fibers::fiber> fibers;
  fibers.reserve(batch_size);
  for (std::size_t batch = 0; batch < batches; ++batch) {
    for (std::size_t i = 0; i < batch_size; ++i) fibers.push_back(bench::spawn([] {}));
    for (auto& fiber : fibers) fiber.join();
    fibers.clear();
  }
}

}  // namespace

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  bench::run_boost_fiber(args.procs, [&args] {
    const std::size_t batches = args.scaled(3000);
    spawn_and_join(args.scaled(300));
    const bench::stopwatch watch;
    spawn_and_join(batches);
    bench::print_metrics(
        {{"ns_each", watch.nanoseconds() / static_cast<double>(batches * batch_size)}});
  });
}
