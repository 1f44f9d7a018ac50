// A sender goes on after the channel has been closed.
// status: 2
// expect: ^panic: send on closed channel$
// expect: ^goroutine \d+ \[running\]:$
// expect: created by .* in goroutine 1
#include <runnel/runnel.h>

int main() {
  runnel::run([] {
    auto jobs = runnel::make_chan<int>();
    runnel::wait_group wg;
    wg.go([=] {
      for (int i = 0; i < 3; ++i) jobs.send(i);
    });
    jobs.recv();
    jobs.close();  // the receiver has had enough
    wg.wait();
  });
}
