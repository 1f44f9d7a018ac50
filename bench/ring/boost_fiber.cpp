// ring: 10,000 fibers pass a token round over unbuffered channels, 300 times; time of a hop.
// Warm-up: the first round. Main is one of the ring.
#include "common/boost_fiber.h"

#include "common/arguments.h"
#include "common/metrics.h"
#include "common/stopwatch.h"

namespace {

using channel = boost::fibers::unbuffered_channel<std::size_t>;

constexpr std::size_t size = 10'000;

void go_round(channel& first, channel& last, std::size_t rounds) {
  std::size_t token = 0;
  for (std::size_t r = 0; r < rounds; ++r) {
    first.push(token + 1);
    last.pop(token);
  }
  bench::require(token == rounds * size, "the token");
}

}  // namespace

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  bench::run_boost_fiber(args.procs, [&args] {
    const std::size_t rounds = args.scaled(300);
    std::vector<channel> channels(size);
    std::vector<boost::fibers::fiber> fibers;
    for (std::size_t i = 1; i < size; ++i) {
      fibers.push_back(bench::spawn([&in = channels[i - 1], &out = channels[i]] {
        std::size_t token = 0;
        while (in.pop(token) == boost::fibers::channel_op_status::success) out.push(token + 1);
        out.close();
      }));
    }
    channel& first = channels.front();
    channel& last = channels.back();
    go_round(first, last, 1);
    const bench::stopwatch watch;
    go_round(first, last, rounds);
    bench::print_metrics(
        {{"ns_per_hop", watch.nanoseconds() / static_cast<double>(rounds * size)}});
    first.close();
    for (auto& fiber : fibers) fiber.join();
  });
}
