// An assertion of the program fails.
// status: 2
// expect: Assertion .size > 0. failed\.$
// expect: ^fatal error: SIGABRT: abort$
// expect: ^\[signal SIGABRT: abort code=-6 \(raised\) pc=0x[0-9a-f]+\]$
// expect: ^goroutine 1 \[running\]:$
// expect: ^take_from\(int\)$
#undef NDEBUG
#include <runnel/runnel.h>

#include <cassert>

[[gnu::noinline]] int take_from(int size) {
  assert(size > 0);
  return size - 1;
}

int main() {
  runnel::run([] { return void(take_from(0)); });
}
