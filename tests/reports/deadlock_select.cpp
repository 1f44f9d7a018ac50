// A select without cases waits for ever, and nobody else is there.
// status: 2
// expect: ^fatal error: all goroutines are asleep - deadlock!$
// expect: ^goroutine 1 \[select \(no cases\)\]:$
// expect: deadlock_select\.cpp:\d+$
// skip: tsan aarch64

#include <runnel/runnel.h>

int main() {
  runnel::run([] { runnel::select(); });
}
