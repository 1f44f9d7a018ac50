// A std::mutex serves as a signal from one goroutine to another.
// status: 2
// expect: ^runnel: .*use a channel$
// expect: ^fatal error: std::mutex unlocked by another goroutine$
// expect: ^goroutine \d+ \[running\]:$
// expect: ^finish\(\)$
// expect: ^std::mutex (busy at )?0x[0-9a-f]+ was locked by goroutine 1:$
// never: ^pthread_mutex_unlock
// skip: asan tsan no-assertions
#include <runnel/runnel.h>

#include <mutex>

std::mutex busy;

[[gnu::noinline]] void finish() { busy.unlock(); }

int main() {
  runnel::run([] {
    busy.lock();
    runnel::go([] { finish(); });
    busy.lock();  // until the other has finished
    busy.unlock();
  });
}
