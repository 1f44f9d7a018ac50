// The same deadlock, where no stacks are wanted.
// status: 2
// expect: ^fatal error: all goroutines are asleep - deadlock!$
// never: ^goroutine
// never: \.cpp
// env: RUNNEL_TRACEBACK=none
// skip: tsan

#include <runnel/runnel.h>

int main() {
  runnel::run([] {
    runnel::chan<int> nil;
    nil.send(1);
  });
}
