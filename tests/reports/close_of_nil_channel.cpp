// A channel that was never made is closed.
// status: 2
// expect: ^panic: close of nil channel$
// expect: ^goroutine 1 \[running\]:$
// expect: main
#include <runnel/runnel.h>

int main() {
  runnel::run([] {
    runnel::chan<int> results;
    results.close();
  });
}
