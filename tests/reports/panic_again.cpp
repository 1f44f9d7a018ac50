// A deferred call recovers, and panics anew.
// status: 2
// expect: ^panic: connection lost \[recovered\]$
// expect: ^\tpanic: request 7 failed: connection lost$
// expect: ^goroutine \d+ \[running\]:$
#include <runnel/runnel.h>

#include <string>

void request(int number) {
  runnel::func([&](runnel::defer_stack& defer) {
    defer([&] {
      if (const runnel::panic_info* p = runnel::recover()) {
        runnel::panic("request " + std::to_string(number) + " failed: " + p->what());
      }
    });
    runnel::panic("connection lost");
  });
}

int main() {
  runnel::run([] { request(7); });
}
