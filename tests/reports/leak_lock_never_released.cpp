// A goroutine has ended without unlocking; whoever comes next waits for ever.
// status: 0
// env: RUNNEL_DEBUG=leak=1
// env: RUNNEL_MAXPROCS=1
// expect: ^runnel: 1 goroutine leaked: it waits for what nobody can reach any more$
// expect: ^goroutine \d+ "second" \[sync.Mutex.Lock\]:$
// skip: asan tsan

#include <runnel/runnel.h>

#include <memory>

using namespace runnel;
using namespace std::chrono_literals;

void work() {
  struct account {
    mutex mu;
    int balance = 0;
  };
  auto shared = std::make_shared<account>();
  go({.name = "first"}, [shared] {
    shared->mu.lock();  // a std::lock_guard would unlock it
    ++shared->balance;
  });
  go({.name = "second"}, [shared] {
    yield();
    shared->mu.lock();
    --shared->balance;
    shared->mu.unlock();
  });
}

int main() {
  run([] {
    work();
    sleep(1ms);
  });
}
