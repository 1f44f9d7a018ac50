// Six goroutines block their threads at once.
// status: 2
// expect: ^runnel: 4 goroutines block their threads at once; raise options\.max_threads
// expect: ^fatal error: program exceeds 4-thread limit$
#include <runnel/runnel.h>
#include <unistd.h>

int main() {
  runnel::run({.max_threads = 4}, [] {
    runnel::wait_group wg;
    for (int i = 0; i < 6; ++i) {
      wg.go([] { runnel::blocking([] { pause(); }); });
    }
    wg.wait();
  });
}
