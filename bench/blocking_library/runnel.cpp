// blocking_library: 200 goroutines each make 20 system calls that block for 50 to 100 ms, while one waits for a timer every
// millisecond and notes how late it is; by a plan, so that one long wait counts as all in whose place it stands. Once as
// the calls are, once announced by blocking(). No warm-up: the threads that the calls need are part of it.
#include <runnel/go.h>
#include <runnel/sync.h>
#include <runnel/time.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <vector>

#include "common/arguments.h"
#include "common/metrics.h"

namespace {

using clock_type = std::chrono::steady_clock;
constexpr int goroutines = 200;

int block_for(int ms) {
  const timespec time{0, ms * 1'000'000L};
  return nanosleep(&time, nullptr);
}

template <class Call>
double p99_ms(std::size_t calls, Call call) {
  std::atomic<bool> over{false};
  std::atomic<std::size_t> done{0};
  std::vector<double> late;
  runnel::wait_group bystander, callers;
  bystander.go([&] {
    for (auto due = clock_type::now(); !over;) {
      due += std::chrono::milliseconds(1);
      runnel::sleep_until(due);
      late.push_back(std::chrono::duration<double, std::milli>(clock_type::now() - due).count());
    }
  });
  for (int i = 0; i < goroutines; ++i) {
    callers.go([&, i] {
      for (std::size_t n = 0; n < calls; ++n) done += call(50 + i / 4) == 0 ? 1 : 0;
    });
  }
  callers.wait();
  over = true;
  bystander.wait();
  bench::require(done == goroutines * calls, "each call takes its time");
  std::sort(late.begin(), late.end());
  return late[late.size() * 99 / 100];
}

}  // namespace

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  runnel::run(runnel::options{.max_procs = args.procs}, [&args] {
    const std::size_t calls = args.scaled(20);
    const double plain = p99_ms(calls, [](int ms) { return block_for(ms); });
    const double announced =
        p99_ms(calls, [](int ms) { return runnel::blocking([ms] { return block_for(ms); }); });
    bench::print_metrics({{"p99_ms", plain}, {"announced_p99_ms", announced}});
  });
}
