// select_unbuffered: four goroutines each send on an unbuffered channel of their own, and one more
// selects over the four; time of a value. Warm-up: a tenth of the values.
#include <runnel/chan.h>
#include <runnel/go.h>
#include <runnel/select.h>
#include <runnel/sync.h>

#include <array>
#include <optional>

#include "common/arguments.h"
#include "common/metrics.h"
#include "common/stopwatch.h"

namespace {

constexpr std::size_t producers = 4;

void transfer(std::size_t values_each) {
  std::array<runnel::chan<std::size_t>, producers> ch;
  for (auto& one : ch) {
    one = runnel::make_chan<std::size_t>();
    runnel::go([one, values_each] {
      for (std::size_t i = 1; i <= values_each; ++i) one.send(i);
    });
  }
  std::size_t sum = 0;
  runnel::wait_group joined;
  joined.add(1);
  runnel::go([&ch, &sum, &joined, values_each] {
    std::optional<std::size_t> value;
    for (std::size_t i = 0; i < producers * values_each; ++i) {
      runnel::select(runnel::recv(ch[0], value), runnel::recv(ch[1], value),
                     runnel::recv(ch[2], value), runnel::recv(ch[3], value));
      sum += *value;
    }
    joined.done();
  });
  joined.wait();
  bench::require(sum == producers * (values_each * (values_each + 1) / 2), "the sum");
}

}  // namespace

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  runnel::run(runnel::options{.max_procs = args.procs}, [&args] {
    const std::size_t values_each = args.scaled(750'000);
    transfer(values_each / 10);
    const bench::stopwatch watch;
    transfer(values_each);
    bench::print_metrics(
        {{"ns_per_value", watch.nanoseconds() / static_cast<double>(producers * values_each)}});
  });
}
