// A sleep of no time at all.
#include <benchmark/benchmark.h>
#include <runnel/go.h>
#include <runnel/time.h>

#include <chrono>

namespace {

void sleep_zero(benchmark::State& state) {
  runnel::run(runnel::options{.max_procs = 1}, [&state] {
    for (auto _ : state) runnel::sleep(std::chrono::nanoseconds(0));
  });
}
BENCHMARK(sleep_zero)->UseRealTime();

}  // namespace
