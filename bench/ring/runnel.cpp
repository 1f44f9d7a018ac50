// ring: 10,000 goroutines pass a token round over unbuffered channels, 300 times; time of a hop.
// Warm-up: the first round. Main is one of the ring.
#include <runnel/chan.h>
#include <runnel/go.h>

#include "common/arguments.h"
#include "common/metrics.h"
#include "common/stopwatch.h"

namespace {

constexpr std::size_t size = 10'000;

void go_round(const runnel::chan<std::size_t>& first, const runnel::chan<std::size_t>& last,
              std::size_t rounds) {
  std::size_t token = 0;
  for (std::size_t r = 0; r < rounds; ++r) {
    first.send(token + 1);
    token = *last.recv();
  }
  bench::require(token == rounds * size, "the token");
}

}  // namespace

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  runnel::run(runnel::options{.max_procs = args.procs}, [&args] {
    const std::size_t rounds = args.scaled(300);
    const auto first = runnel::make_chan<std::size_t>();
    auto last = first;
    for (std::size_t i = 1; i < size; ++i) {
      const auto next = runnel::make_chan<std::size_t>();
      runnel::go([in = last, out = next] {
        for (const std::size_t token : in) out.send(token + 1);
        out.close();
      });
      last = next;
    }
    go_round(first, last, 1);
    const bench::stopwatch watch;
    go_round(first, last, rounds);
    bench::print_metrics(
        {{"ns_per_hop", watch.nanoseconds() / static_cast<double>(rounds * size)}});
    first.close();
    bench::require(!last.recv(), "the end");
  });
}
