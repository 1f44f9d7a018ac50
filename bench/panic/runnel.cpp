// panic: on each P a goroutine calls a function that panics and recovers, again and again; time of
// a panic and its recovery on one P. And the same with nothing but throw and catch. The fastest of
// 125 runs of each, in turns.
#include <runnel/defer.h>
#include <runnel/go.h>
#include <runnel/sync.h>

#include <atomic>

#include "common/arguments.h"
#include "common/fastest.h"
#include "common/metrics.h"

namespace {

[[gnu::noinline]] void fail() { runnel::panic("failed"); }

[[gnu::noinline]] bool panic_and_recover() {
  bool recovered = false;
  runnel::func([&recovered](runnel::defer_stack& defer) {
    defer([&recovered] { recovered = runnel::recover() != nullptr; });
    fail();
  });
  return recovered;
}

[[gnu::noinline]] void fail_bare() { throw "failed"; }

[[gnu::noinline]] bool throw_and_catch() {
  try {
    fail_bare();
  } catch (...) {
    return true;
  }
  return false;
}

// Not a wait: a goroutine per P, all at once from the first to the last.
template <bool (*Call)()>
auto on_each_of(int procs) {
  return [procs](std::size_t times) {
    std::atomic<std::size_t> recovered = 0;
    runnel::wait_group joined;
    joined.add(procs);
    for (int p = 0; p < procs; ++p) {
      runnel::go([&recovered, &joined, times] {
        std::size_t mine = 0;
        for (std::size_t i = 0; i < times; ++i) mine += Call();
        recovered += mine;
        joined.done();
      });
    }
    joined.wait();
    bench::require(recovered == times * static_cast<std::size_t>(procs), "recovered");
  };
}

}  // namespace

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  runnel::run(runnel::options{.max_procs = args.procs}, [&args] {
    const auto [panic, bare] =
        bench::fastest_of_each(125, args.scaled(2'000), on_each_of<panic_and_recover>(args.procs),
                               on_each_of<throw_and_catch>(args.procs));
    bench::print_metrics({{"ns_per_panic", panic}, {"ns_per_throw", bare}});
  });
}
