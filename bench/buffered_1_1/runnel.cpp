// buffered_1_1: one goroutine sends to one other over one channel with a buffer of 128; time of a
// value. Warm-up: a tenth of the values.
#include <runnel/chan.h>
#include <runnel/go.h>
#include <runnel/sync.h>

#include <atomic>

#include "common/arguments.h"
#include "common/metrics.h"
#include "common/stopwatch.h"

namespace {

constexpr std::size_t pairs = 1;

void transfer(std::size_t values_each) {
  const auto ch = runnel::make_chan<std::size_t>(128);
  std::atomic<std::size_t> total = 0;
  runnel::wait_group sent, received;
  sent.add(pairs);
  received.add(pairs);
  for (std::size_t p = 0; p < pairs; ++p) {
    runnel::go([&ch, &sent, values_each] {
      for (std::size_t i = 1; i <= values_each; ++i) ch.send(i);
      sent.done();
    });
    runnel::go([&ch, &total, &received] {
      std::size_t sum = 0;
      for (const std::size_t value : ch) sum += value;
      total += sum;
      received.done();
    });
  }
  sent.wait();
  ch.close();
  received.wait();
  bench::require(total == pairs * (values_each * (values_each + 1) / 2), "the sum");
}

}  // namespace

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  runnel::run(runnel::options{.max_procs = args.procs}, [&args] {
    const std::size_t values_each = args.scaled(20'000'000);
    transfer(values_each / 10);
    const bench::stopwatch watch;
    transfer(values_each);
    bench::print_metrics(
        {{"ns_per_value", watch.nanoseconds() / static_cast<double>(pairs * values_each)}});
  });
}
