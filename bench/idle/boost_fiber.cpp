// idle: processor time used in 3 s in which a thousand fibers are parked on a mutex and main
// sleeps.
#include "common/boost_fiber.h"

#include <chrono>
#include <cstdlib>

#include "common/arguments.h"
#include "common/metrics.h"
#include "common/process.h"

namespace {

boost::fibers::mutex held;

}  // namespace

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  bench::run_boost_fiber(args.procs, [&args] {
    held.lock();
    for (int i = 0; i < 1000; ++i) {
      bench::spawn([] {
        held.lock();
        held.unlock();
      }).detach();
    }
    boost::this_fiber::sleep_for(
        std::chrono::milliseconds(100));  // all parked, and the start forgotten
    const double before = bench::cpu_milliseconds();
    boost::this_fiber::sleep_for(std::chrono::milliseconds(args.scaled(3000)));
    bench::print_metrics({{"cpu_ms", bench::cpu_milliseconds() - before}});
    std::_Exit(0);  // there is no leaving while fibers wait
  });
}
