// defer: a function counts when it is entered, and again when it is left: by itself, by a destructor
// written by hand, by a scope guard, by a deferred call of func; time of a call of each. The
// fastest of 300 runs of each, in turns.
#include <runnel/defer.h>
#include <runnel/go.h>

#include "common/arguments.h"
#include "common/fastest.h"
#include "common/metrics.h"

namespace {

struct counter {
  std::size_t entered = 0;
  std::size_t left = 0;
};

// What the function does in between, which the compiler cannot look into.
[[gnu::noinline]] void work(counter& c) {
  ++c.entered;
  asm volatile("" ::: "memory");
}

[[gnu::noinline, gnu::aligned(64)]] void by_itself(counter& c) {
  work(c);
  ++c.left;
}

struct leaving {
  counter& c;
  ~leaving() { ++c.left; }
};

[[gnu::noinline, gnu::aligned(64)]] void by_destructor(counter& c) {
  const leaving at_end{c};
  work(c);
}

[[gnu::noinline, gnu::aligned(64)]] void by_guard(counter& c) {
  const runnel::defer at_end([&c] { ++c.left; });
  work(c);
}

[[gnu::noinline, gnu::aligned(64)]] void by_func(counter& c) {
  runnel::func([&c](runnel::defer_stack& defer) {
    defer([&c] { ++c.left; });
    work(c);
  });
}

template <void (*Call)(counter&)>
void call(std::size_t times) {
  counter c;
  for (std::size_t i = 0; i < times; ++i) Call(c);
  bench::require(c.entered == times && c.left == times, "the counts");
}

}  // namespace

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  runnel::run(runnel::options{.max_procs = args.procs}, [&args] {
    const auto [itself, destructor, guard, func] =
        bench::fastest_of_each(300, args.scaled(100'000), call<by_itself>, call<by_destructor>,
                               call<by_guard>, call<by_func>);
    bench::print_metrics({{"itself_ns", itself},
                          {"destructor_ns", destructor},
                          {"guard_ns", guard},
                          {"func_ns", func}});
  });
}
