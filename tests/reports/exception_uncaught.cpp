// An ordinary exception leaves a goroutine.
// status: 2
// expect: ^panic: std::out_of_range: vector::_M_range_check
// expect: ^goroutine \d+ \[running\]:$
// expect: ^best_of\(
// expect: created by .* in goroutine 1
#include <runnel/runnel.h>

#include <cstdio>
#include <vector>

[[gnu::noinline]] int best_of(const std::vector<int>& results) { return results.at(0); }

int main() {
  runnel::run([] {
    auto best = runnel::make_chan<int>();
    runnel::go([=] { best.send(best_of({})); });
    std::printf("%d\n", *best.recv());
  });
}
