// A channel that was never made: to receive from it waits for ever.
// status: 0
// env: RUNNEL_DEBUG=leak=1
// env: RUNNEL_MAXPROCS=1
// expect: ^runnel: 1 goroutine leaked: it waits for what nobody can reach any more$
// expect: ^goroutine \d+ "listener" \[chan receive \(nil chan\)\]:$
// skip: asan tsan

#include <runnel/runnel.h>

using namespace runnel;
using namespace std::chrono_literals;

struct server {
  chan<int> stop;  // make_chan<int>() is missing
};

int main() {
  run([] {
    go({.name = "listener"}, [s = server()] { s.stop.recv(); });
    sleep(1ms);
  });
}
