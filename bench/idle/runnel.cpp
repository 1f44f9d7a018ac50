// idle: processor time used in 3 s in which a thousand goroutines are parked on a mutex and main
// sleeps.
#include <runnel/go.h>
#include <runnel/sync.h>
#include <runnel/time.h>

#include <chrono>

#include "common/arguments.h"
#include "common/metrics.h"
#include "common/process.h"

namespace {

runnel::mutex held;

}  // namespace

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  runnel::run(runnel::options{.max_procs = args.procs}, [&args] {
    held.lock();
    for (int i = 0; i < 1000; ++i) {
      runnel::go([] {
        held.lock();
        held.unlock();
      });
    }
    runnel::sleep(std::chrono::milliseconds(100));  // all parked, and the start forgotten
    const double before = bench::cpu_milliseconds();
    runnel::sleep(std::chrono::milliseconds(args.scaled(3000)));
    bench::print_metrics({{"cpu_ms", bench::cpu_milliseconds() - before}});
  });
}
