// What one call costs: starting a goroutine, and yielding.
#include <benchmark/benchmark.h>
#include <runnel/go.h>
#include <runnel/sync.h>

#include <atomic>

#include "common/stopwatch.h"

namespace {

// The call alone: a batch is started, then run and joined off the clock. One P, so that none runs
// while the next ones are started.
void go_call(benchmark::State& state) {
  constexpr int batch_size = 100;
  runnel::run(runnel::options{.max_procs = 1}, [&state] {
    runnel::wait_group joined;
    for (auto _ : state) {
      joined.add(batch_size);
      const bench::stopwatch watch;
      for (int i = 0; i < batch_size; ++i) {
        runnel::go([&joined] { joined.done(); });
      }
      state.SetIterationTime(watch.seconds());
      joined.wait();
    }
  });
  state.SetItemsProcessed(state.iterations() * batch_size);
}
BENCHMARK(go_call)->UseManualTime();

// Start one goroutine, wait for it.
void go_and_join(benchmark::State& state) {
  runnel::run(runnel::options{.max_procs = static_cast<int>(state.range(0))}, [&state] {
    runnel::wait_group joined;
    for (auto _ : state) {
      joined.add(1);
      runnel::go([&joined] { joined.done(); });
      joined.wait();
    }
  });
}
BENCHMARK(go_and_join)->ArgName("procs")->Arg(1)->Arg(2)->UseRealTime();

void yield_with_nobody_waiting(benchmark::State& state) {
  runnel::run(runnel::options{.max_procs = 1}, [&state] {
    for (auto _ : state) runnel::yield();
  });
}
BENCHMARK(yield_with_nobody_waiting)->UseRealTime();

// There and back: two yields an iteration.
void yield_to_another(benchmark::State& state) {
  runnel::run(runnel::options{.max_procs = 1}, [&state] {
    std::atomic<bool> stop = false;
    runnel::wait_group joined;
    joined.add(1);
    runnel::go([&stop, &joined] {
      while (!stop.load(std::memory_order_relaxed)) runnel::yield();
      joined.done();
    });
    for (auto _ : state) runnel::yield();
    stop = true;
    joined.wait();
  });
  state.SetItemsProcessed(state.iterations() * 2);
}
BENCHMARK(yield_to_another)->UseRealTime();

}  // namespace
