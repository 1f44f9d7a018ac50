// shared_mutex: eight goroutines read a value under one shared mutex; one operation in a thousand
// writes it. Time of an operation. Warm-up: a tenth of them.
#include <runnel/go.h>
#include <runnel/sync.h>

#include <atomic>

#include "common/arguments.h"
#include "common/metrics.h"
#include "common/stopwatch.h"

namespace {

constexpr std::size_t goroutines = 8;
constexpr std::size_t reads_per_write = 999;

void read_mostly(std::size_t writes_each) {
  runnel::shared_mutex mutex;
  std::size_t value = 1;
  std::atomic<std::size_t> nonzero = 0;
  runnel::wait_group joined;
  joined.add(goroutines);
  for (std::size_t g = 0; g < goroutines; ++g) {
    runnel::go([&mutex, &value, &nonzero, &joined, writes_each] {
      std::size_t seen = 0;
      for (std::size_t w = 0; w < writes_each; ++w) {
        mutex.lock();
        ++value;
        mutex.unlock();
        for (std::size_t r = 0; r < reads_per_write; ++r) {
          mutex.lock_shared();
          if (value != 0) ++seen;
          mutex.unlock_shared();
        }
      }
      nonzero += seen;
      joined.done();
    });
  }
  joined.wait();
  bench::require(value == 1 + goroutines * writes_each, "the value");
  bench::require(nonzero == goroutines * writes_each * reads_per_write, "what was read");
}

}  // namespace

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  runnel::run(runnel::options{.max_procs = args.procs}, [&args] {
    const std::size_t writes_each = args.scaled(6'000);
    read_mostly(writes_each / 10);
    const bench::stopwatch watch;
    read_mostly(writes_each);
    const std::size_t operations = goroutines * writes_each * (1 + reads_per_write);
    bench::print_metrics(
        {{"ns_per_operation", watch.nanoseconds() / static_cast<double>(operations)}});
  });
}
