// Whoever asked has given up waiting; the answer is sent to nobody, and its sender waits for ever.
// status: 0
// env: RUNNEL_DEBUG=leak=1
// env: RUNNEL_MAXPROCS=1
// expect: ^runnel: 1 goroutine leaked: it waits for what nobody can reach any more$
// expect: ^goroutine \d+ "fetch" \[chan send\]:$
// expect: fetch_with_timeout
// expect: ^created by .* in goroutine 1$
// skip: asan tsan

#include <runnel/runnel.h>

using namespace runnel;
using namespace std::chrono_literals;

int fetch_with_timeout() {
  auto answer = make_chan<int>();
  go({.name = "fetch"}, [answer] {
    sleep(10ms);
    answer.send(42);  // room for one, make_chan<int>(1), would let it end
  });
  std::optional<int> got;
  return select(recv(answer, got), timeout(1ms)) == 0 ? *got : -1;
}

int main() {
  return run([] {
    fetch_with_timeout();
    sleep(50ms);
    return 0;
  });
}
