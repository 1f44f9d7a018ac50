// Each of two workers that fail tells the others to stop.
// status: 2
// expect: ^panic: close of closed channel$
// expect: ^goroutine \d+ \[running\]:$
// expect: created by .* in goroutine 1
#include <runnel/runnel.h>

struct nothing {};

int main() {
  runnel::run([] {
    auto stop = runnel::make_chan<nothing>();
    runnel::wait_group wg;
    for (int i = 0; i < 2; ++i) {
      wg.go([=] { stop.close(); });
    }
    wg.wait();
  });
}
