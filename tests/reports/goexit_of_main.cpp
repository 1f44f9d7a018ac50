// The main goroutine calls goexit, and the others end.
// status: 2
// expect: ^fatal error: no goroutines \(main called goexit\) - deadlock!$
#include <runnel/runnel.h>

#include <cstdio>

int main() {
  runnel::run([] {
    runnel::go([] { std::puts("the last one"); });
    runnel::goexit();
  });
}
