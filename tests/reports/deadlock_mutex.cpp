// Two goroutines take two locks in different orders.
// status: 2
// expect: ^fatal error: all goroutines are asleep - deadlock!$
// expect: ^goroutine \d+ (\"\w+\" )?\[sync\.(Mutex\.Lock|WaitGroup\.Wait)\]:$
// expect: ^goroutine \d+ (\"\w+\" )?\[sync\.(Mutex\.Lock|WaitGroup\.Wait)\]:$
// expect: ^goroutine \d+ (\"\w+\" )?\[sync\.(Mutex\.Lock|WaitGroup\.Wait)\]:$
// never: \[running
// skip: tsan

#include <runnel/runnel.h>

#include <chrono>
#include <mutex>

using namespace std::chrono_literals;

void move_money(runnel::mutex& from, runnel::mutex& to) {
  std::lock_guard first(from);
  runnel::sleep(10ms);
  std::lock_guard second(to);
}

int main() {
  runnel::run([] {
    runnel::mutex alice, bob;
    runnel::wait_group transfers;
    transfers.go([&] { move_money(alice, bob); });
    transfers.go([&] { move_money(bob, alice); });
    transfers.wait();
  });
}
