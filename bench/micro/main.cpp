// Single calls, for context. To run: build/release/bench/bench_micro_runnel
// [--benchmark_filter=REGEX]. Only the public API is used.
#include <benchmark/benchmark.h>

BENCHMARK_MAIN();
