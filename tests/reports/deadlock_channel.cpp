// Main waits for a value that nobody sends: the worker returns before it does.
// status: 2
// expect: ^fatal error: all goroutines are asleep - deadlock!$
// expect: ^goroutine 1 \[chan receive\]:$
// expect: ^main::.*::operator\(\)
// expect: deadlock_channel\.cpp:\d+$
// never: created by
// skip: tsan aarch64

#include <runnel/runnel.h>

#include <cstdio>

int main() {
  runnel::run([] {
    auto results = runnel::make_chan<int>();
    auto work = [](int) {};
    runnel::go(work, 7);
    std::printf("%d\n", results.recv().value_or(0));
  });
}
