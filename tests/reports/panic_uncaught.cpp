// A goroutine panics, and nobody recovers.
// status: 2
// expect: ^panic: no such account: 42$
// expect: ^goroutine \d+ \[running\]:$
// expect: ^withdraw\(int\)
// expect: created by .* in goroutine 1
#include <runnel/runnel.h>

#include <string>

[[gnu::noinline]] void withdraw(int account) {
  runnel::panic("no such account: " + std::to_string(account));
}

int main() {
  runnel::run([] {
    runnel::wait_group wg;
    wg.go([] { withdraw(42); });
    wg.wait();
  });
}
