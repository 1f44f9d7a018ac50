// skynet: a tree of goroutines with ten children each and a million leaves. A leaf sends its number
// to its parent, a parent the sum of its children's; each parent has one unbuffered channel for all
// its children. The time until the root's sum is there. No warm-up.
#include <runnel/chan.h>
#include <runnel/go.h>

#include "common/arguments.h"
#include "common/metrics.h"
#include "common/stopwatch.h"

namespace {

constexpr std::size_t children = 10;

void skynet(const runnel::chan<std::size_t>& result, std::size_t number, std::size_t leaves) {
  if (leaves == 1) {
    result.send(number);
    return;
  }
  const auto results = runnel::make_chan<std::size_t>();
  for (std::size_t i = 0; i < children; ++i) {
    const std::size_t each = leaves / children;
    runnel::go(skynet, results, number + i * each, each);
  }
  std::size_t sum = 0;
  for (std::size_t i = 0; i < children; ++i) sum += *results.recv();
  result.send(sum);
}

}  // namespace

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  runnel::run(runnel::options{.max_procs = args.procs}, [&args] {
    std::size_t leaves = 1;
    while (leaves * children <= args.scaled(1'000'000)) leaves *= children;
    const bench::stopwatch watch;
    const auto result = runnel::make_chan<std::size_t>();
    runnel::go(skynet, result, 0, leaves);
    bench::require(*result.recv() == leaves * (leaves - 1) / 2, "the sum");
    bench::print_metrics({{"ms", watch.milliseconds()}});
  });
}
