// ping_pong: a value goes to and fro between two goroutines over two unbuffered channels; time of
// a round trip. Warm-up: a tenth of the round trips.
#include <runnel/chan.h>
#include <runnel/go.h>
#include <runnel/sync.h>

#include "common/arguments.h"
#include "common/metrics.h"
#include "common/stopwatch.h"

namespace {

void play(std::size_t round_trips) {
  const auto ping = runnel::make_chan<std::size_t>();
  const auto pong = runnel::make_chan<std::size_t>();
  runnel::wait_group joined;
  joined.add(2);
  std::size_t value = 0;
  runnel::go([&] {
    for (std::size_t i = 0; i < round_trips; ++i) {
      ping.send(value);
      value = *pong.recv();
    }
    ping.close();
    joined.done();
  });
  runnel::go([&] {
    for (const std::size_t v : ping) pong.send(v + 1);
    joined.done();
  });
  joined.wait();
  bench::require(value == round_trips, "the value");
}

}  // namespace

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  runnel::run(runnel::options{.max_procs = args.procs}, [&args] {
    const std::size_t round_trips = args.scaled(3'000'000);
    play(round_trips / 10);
    const bench::stopwatch watch;
    play(round_trips);
    bench::print_metrics(
        {{"ns_per_round_trip", watch.nanoseconds() / static_cast<double>(round_trips)}});
  });
}
