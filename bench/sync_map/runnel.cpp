// sync_map: eight goroutines look up a thousand int keys in one map, all of which are there; one
// operation in a thousand stores. Time of an operation. Warm-up: a tenth of them.
#include <runnel/go.h>
#include <runnel/sync.h>

#include <atomic>
#include <optional>

#include "common/arguments.h"
#include "common/metrics.h"
#include "common/stopwatch.h"

namespace {

constexpr std::size_t goroutines = 8;
constexpr int keys = 1000;
constexpr int stride = 617;  // no common factor with keys: a walk passes all of them
constexpr int loads_per_store = 999;

void read_mostly(runnel::sync_map<int, int>& map, std::size_t stores_each) {
  std::atomic<std::size_t> right = 0;
  runnel::wait_group joined;
  joined.add(goroutines);
  for (std::size_t g = 0; g < goroutines; ++g) {
    runnel::go([&map, &right, &joined, stores_each] {
      std::size_t found = 0;
      int key = 0;
      for (std::size_t s = 0; s < stores_each; ++s) {
        const int stored = static_cast<int>(s) % keys;
        map.store(stored, stored);
        for (int l = 0; l < loads_per_store; ++l) {
          key = (key + stride) % keys;
          const std::optional<int> value = map.load(key);
          if (value && *value == key) ++found;
        }
      }
      right += found;
      joined.done();
    });
  }
  joined.wait();
  bench::require(right == goroutines * stores_each * loads_per_store, "what was loaded");
}

}  // namespace

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  runnel::run(runnel::options{.max_procs = args.procs}, [&args] {
    runnel::sync_map<int, int> map;
    for (int key = 0; key < keys; ++key) map.store(key, key);
    const std::size_t stores_each = args.scaled(6'000);
    read_mostly(map, stores_each / 10);
    const bench::stopwatch watch;
    read_mostly(map, stores_each);
    const std::size_t operations = goroutines * stores_each * (1 + loads_per_store);
    bench::print_metrics(
        {{"ns_per_operation", watch.nanoseconds() / static_cast<double>(operations)}});
  });
}
