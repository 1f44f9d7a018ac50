// done() is called more often than add() has announced.
// status: 2
// expect: ^panic: sync: negative WaitGroup counter$
// expect: ^goroutine \d+ \[running\]:$
#include <runnel/runnel.h>

int main() {
  runnel::run([] {
    runnel::wait_group wg;
    wg.add(1);
    for (int i = 0; i < 2; ++i) runnel::go([&] { wg.done(); });
    wg.wait();
    runnel::make_chan<int>().recv();  // the second is still to come
  });
}
