// A goroutine sleeps between two attempts with a std::mutex locked.
// status: 2
// expect: ^runnel: .*use runnel::mutex: .*
// expect: ^fatal error: std::mutex held while its goroutine waits \[sleep\]$
// expect: ^goroutine \d+ \[running\]:$
// expect: ^reconnect\(\)$
// expect: ^std::mutex (line_mutex at )?0x[0-9a-f]+ was locked by goroutine \d+:$
// expect: ^reconnect\(\)$
// skip: asan tsan no-assertions
#include <runnel/runnel.h>

#include <mutex>

using namespace std::chrono_literals;

std::mutex line_mutex;

bool dial() { return false; }

[[gnu::noinline]] void reconnect() {
  std::lock_guard hold(line_mutex);
  while (!dial()) runnel::sleep(100ms);
}

int main() {
  runnel::run([] {
    runnel::wait_group wg;
    wg.go([] { reconnect(); });
    wg.wait();
  });
}
