// The workers range over a channel that nobody closes.
// status: 0
// env: RUNNEL_DEBUG=leak=1
// env: RUNNEL_MAXPROCS=1
// expect: ^runnel: 3 goroutines leaked: they wait for what nobody can reach any more$
// expect: ^goroutine \d+ "worker" \[chan receive\]:$
// expect: ^goroutine \d+ "worker" \[chan receive\]:$
// expect: ^goroutine \d+ "worker" \[chan receive\]:$
// skip: asan tsan

#include <runnel/runnel.h>

#include <cstdio>

using namespace runnel;
using namespace std::chrono_literals;

void print_all() {
  auto jobs = make_chan<int>();
  for (int i = 0; i < 3; ++i) {
    go({.name = "worker"}, [jobs] {
      for (int job : jobs) std::printf("%d\n", job);
    });
  }
  for (int i = 0; i < 10; ++i) jobs.send(i);
  // jobs.close() is missing
}

int main() {
  run([] {
    print_all();
    sleep(1ms);
  });
}
