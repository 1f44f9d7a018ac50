// thread_channel: a value goes to and fro between a std::thread and a goroutine over two unbuffered
// channels; time of a round trip. Warm-up: a tenth of the round trips.
#include <runnel/chan.h>
#include <runnel/go.h>

#include <thread>

#include "common/arguments.h"
#include "common/metrics.h"
#include "common/stopwatch.h"

namespace {

void play(std::size_t round_trips) {
  const auto ping = runnel::make_chan<std::size_t>();
  const auto pong = runnel::make_chan<std::size_t>();
  std::thread thread([ping, pong] {
    for (const std::size_t v : ping) pong.send(v + 1);
    pong.close();
  });
  std::size_t value = 0;
  for (std::size_t i = 0; i < round_trips; ++i) {
    ping.send(value);
    value = *pong.recv();
  }
  ping.close();
  bench::require(!pong.recv(), "the end");
  thread.join();
  bench::require(value == round_trips, "the value");
}

}  // namespace

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  runnel::run(runnel::options{.max_procs = args.procs}, [&args] {
    const std::size_t round_trips = args.scaled(50'000);
    play(round_trips / 10);
    const bench::stopwatch watch;
    play(round_trips);
    bench::print_metrics(
        {{"ns_per_round_trip", watch.nanoseconds() / static_cast<double>(round_trips)}});
  });
}
