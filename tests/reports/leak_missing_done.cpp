// One of the paths through the work forgets done(): who waits for the group waits for ever.
// status: 0
// env: RUNNEL_DEBUG=leak=1
// env: RUNNEL_MAXPROCS=1
// expect: ^runnel: 1 goroutine leaked: it waits for what nobody can reach any more$
// expect: ^goroutine \d+ "collector" \[sync.WaitGroup.Wait\]:$
// skip: asan tsan

#include <runnel/runnel.h>

#include <memory>

using namespace runnel;
using namespace std::chrono_literals;

void start_all() {
  auto left = std::make_shared<wait_group>();
  for (int i = 0; i < 3; ++i) {
    left->add(1);
    go([left, i] {
      if (i == 1) return;  // an early return; left->go(…) would have counted it
      left->done();
    });
  }
  go({.name = "collector"}, [left] { left->wait(); });
}

int main() {
  run([] {
    start_all();
    sleep(1ms);
  });
}
