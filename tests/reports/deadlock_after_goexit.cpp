// Main leaves by goexit, so that the program goes on; but those who are left wait for one another.
// status: 2
// expect: ^fatal error: all goroutines are asleep - deadlock!$
// expect: ^goroutine \d+ "reader" \[chan receive\]:$
// expect: ^read_all
// expect: deadlock_after_goexit\.cpp:\d+$
// expect: ^created by main::.* in goroutine 1$
// expect: deadlock_after_goexit\.cpp:\d+$
// never: ^goroutine 1
// skip: tsan aarch64

#include <runnel/runnel.h>

void read_all(runnel::recv_chan<int> lines) {
  while (lines.recv()) {
  }
}

int main() {
  runnel::run([] {
    auto lines = runnel::make_chan<int>();
    runnel::go({.name = "reader"}, read_all, lines);  // nobody closes the channel
    runnel::goexit();
  });
}
