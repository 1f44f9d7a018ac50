// machinery: one goroutine sends half a million values to another over an unbuffered channel, a
// million operations, in a run that looks for deadlocks and in one that does not; time of an
// operation. The fastest of 20 runs of each, in turns.
#include <runnel/chan.h>
#include <runnel/go.h>
#include <runnel/sync.h>

#include "common/arguments.h"
#include "common/fastest.h"
#include "common/metrics.h"

namespace {

void operate(std::size_t operations) {
  const std::size_t values = (operations + 1) / 2;
  const auto channel = runnel::make_chan<std::size_t>();
  runnel::wait_group joined;
  joined.go([&] {
    for (std::size_t i = 0; i < values; ++i) channel.send(i);
    channel.close();
  });
  std::size_t received = 0;
  while (channel.recv()) ++received;
  joined.wait();
  bench::require(received == values, "the values");
}

// As a program of its own would: the start and the end of the run are part of it.
auto run_with(int procs, runnel::deadlock_check check) {
  return [procs, check](std::size_t operations) {
    runnel::run(runnel::options{.max_procs = procs, .deadlock = check}, operate, operations);
  };
}

}  // namespace

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  const auto [with, without] = bench::fastest_of_each(
      20, args.scaled(1'000'000), run_with(args.procs, runnel::deadlock_check::on),
      run_with(args.procs, runnel::deadlock_check::off));
  bench::print_metrics({{"with_ns", with}, {"without_ns", without}});
}
