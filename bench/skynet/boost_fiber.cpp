// skynet: a tree of fibers with ten children each and a million leaves. A leaf sends its number to
// its parent, a parent the sum of its children's; each parent has one unbuffered channel for all
// its children. The time until the root's sum is there. No warm-up.
#include "common/boost_fiber.h"

#include "common/arguments.h"
#include "common/metrics.h"
#include "common/stopwatch.h"

namespace {

using channel = boost::fibers::unbuffered_channel<std::size_t>;

constexpr std::size_t children = 10;

void skynet(channel& result, std::size_t number, std::size_t leaves) {
  if (leaves == 1) {
    result.push(number);
    return;
  }
  // Shared: a child may still be at work in push when its value has been received.
  const auto results = std::make_shared<channel>();
  for (std::size_t i = 0; i < children; ++i) {
    const std::size_t each = leaves / children;
    bench::spawn([results, number, i, each] {
      skynet(*results, number + i * each, each);
    }).detach();
  }
  std::size_t sum = 0;
  for (std::size_t i = 0; i < children; ++i) sum += results->value_pop();
  result.push(sum);
}

}  // namespace

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  bench::run_boost_fiber(args.procs, [&args] {
    std::size_t leaves = 1;
    while (leaves * children <= args.scaled(1'000'000)) leaves *= children;
    const bench::stopwatch watch;
    channel result;
    auto root = bench::spawn([&result, leaves] { skynet(result, 0, leaves); });
    bench::require(result.value_pop() == leaves * (leaves - 1) / 2, "the sum");
    bench::print_metrics({{"ms", watch.milliseconds()}});
    root.join();
  });
}
