// ping_pong: a value goes to and fro between two fibers over two unbuffered channels; time of a
// round trip. Warm-up: a tenth of the round trips.
#include "common/boost_fiber.h"

#include "common/arguments.h"
#include "common/metrics.h"
#include "common/stopwatch.h"

namespace {

void play(std::size_t round_trips) {
  boost::fibers::unbuffered_channel<std::size_t> ping;
  boost::fibers::unbuffered_channel<std::size_t> pong;
  std::size_t value = 0;
  auto first = bench::spawn([&] {
    for (std::size_t i = 0; i < round_trips; ++i) {
      ping.push(value);
      pong.pop(value);
    }
    ping.close();
  });
  auto second = bench::spawn([&] {
    std::size_t v = 0;
    while (ping.pop(v) == boost::fibers::channel_op_status::success) pong.push(v + 1);
  });
  first.join();
  second.join();
  bench::require(value == round_trips, "the value");
}

}  // namespace

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  bench::run_boost_fiber(args.procs, [&args] {
    const std::size_t round_trips = args.scaled(3'000'000);
    play(round_trips / 10);
    const bench::stopwatch watch;
    play(round_trips);
    bench::print_metrics(
        {{"ns_per_round_trip", watch.nanoseconds() / static_cast<double>(round_trips)}});
  });
}
