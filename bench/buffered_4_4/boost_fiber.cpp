// buffered_4_4: four fibers send to four others over one channel with a buffer of 128; time of a
// value. Warm-up: a tenth of the values.
// Boost.Fiber's channel keeps one place of its buffer free.
#include "common/boost_fiber.h"

#include <atomic>

#include "common/arguments.h"
#include "common/metrics.h"
#include "common/stopwatch.h"

namespace {

constexpr std::size_t pairs = 4;

void transfer(std::size_t values_each) {
  boost::fibers::buffered_channel<std::size_t> ch(128);
  std::atomic<std::size_t> total = 0;
  std::vector<boost::fibers::fiber> senders, receivers;
  for (std::size_t p = 0; p < pairs; ++p) {
    senders.push_back(bench::spawn([&ch, values_each] {
      for (std::size_t i = 1; i <= values_each; ++i) ch.push(i);
    }));
    receivers.push_back(bench::spawn([&ch, &total] {
      std::size_t sum = 0, value = 0;
      while (ch.pop(value) == boost::fibers::channel_op_status::success) sum += value;
      total += sum;
    }));
  }
  for (auto& fiber : senders) fiber.join();
  ch.close();
  for (auto& fiber : receivers) fiber.join();
  bench::require(total == pairs * (values_each * (values_each + 1) / 2), "the sum");
}

}  // namespace

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  bench::run_boost_fiber(args.procs, [&args] {
    const std::size_t values_each = args.scaled(5'000'000);
    transfer(values_each / 10);
    const bench::stopwatch watch;
    transfer(values_each);
    bench::print_metrics(
        {{"ns_per_value", watch.nanoseconds() / static_cast<double>(pairs * values_each)}});
  });
}
