// A mutex nobody else wants, beside the standard library's.
#include <benchmark/benchmark.h>
#include <runnel/go.h>
#include <runnel/sync.h>

#include <mutex>

namespace {

template <class Mutex>
void lock_and_unlock(benchmark::State& state, Mutex& mutex) {
  for (auto _ : state) {
    mutex.lock();
    benchmark::ClobberMemory();
    mutex.unlock();
  }
}

void runnel_mutex_on_goroutine(benchmark::State& state) {
  runnel::run(runnel::options{.max_procs = 1}, [&state] {
    runnel::mutex mutex;
    lock_and_unlock(state, mutex);
  });
}
BENCHMARK(runnel_mutex_on_goroutine)->UseRealTime();

void runnel_mutex_on_plain_thread(benchmark::State& state) {
  runnel::mutex mutex;
  lock_and_unlock(state, mutex);
}
BENCHMARK(runnel_mutex_on_plain_thread)->UseRealTime();

void std_mutex(benchmark::State& state) {
  std::mutex mutex;
  lock_and_unlock(state, mutex);
}
BENCHMARK(std_mutex)->UseRealTime();

}  // namespace
