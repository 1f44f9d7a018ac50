// context: eight goroutines each derive contexts that can be cancelled from the background, and
// cancel them at once; time of a context. Warm-up: a tenth of them.
#include <runnel/context.h>
#include <runnel/go.h>
#include <runnel/sync.h>

#include <atomic>

#include "common/arguments.h"
#include "common/metrics.h"
#include "common/stopwatch.h"

namespace {

constexpr std::size_t goroutines = 8;

void derive_and_cancel(std::size_t times_each) {
  std::atomic<std::size_t> cancelled = 0;
  runnel::wait_group joined;
  joined.add(goroutines);
  for (std::size_t g = 0; g < goroutines; ++g) {
    runnel::go([&cancelled, &joined, times_each] {
      std::size_t with_error = 0;
      for (std::size_t i = 0; i < times_each; ++i) {
        auto [context, cancel] = runnel::with_cancel(runnel::background());
        cancel();
        if (context.err()) ++with_error;
      }
      cancelled += with_error;
      joined.done();
    });
  }
  joined.wait();
  bench::require(cancelled == goroutines * times_each, "cancelled");
}

}  // namespace

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  runnel::run(runnel::options{.max_procs = args.procs}, [&args] {
    const std::size_t times_each = args.scaled(400'000);
    derive_and_cancel(times_each / 10);
    const bench::stopwatch watch;
    derive_and_cancel(times_each);
    bench::print_metrics(
        {{"ns_per_context", watch.nanoseconds() / static_cast<double>(goroutines * times_each)}});
  });
}
