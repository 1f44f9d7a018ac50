// A ticker is to tick every zero seconds.
// status: 2
// expect: ^panic: non-positive interval for NewTicker$
// expect: ^goroutine 1 \[running\]:$
// expect: main
#include <runnel/runnel.h>

#include <cstdio>

int main() {
  runnel::run([] {
    int per_second = 2000;
    runnel::ticker beat(std::chrono::milliseconds(1000 / per_second));
    while (beat.c().recv()) std::puts("tick");
  });
}
