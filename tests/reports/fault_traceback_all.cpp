// All goroutines are wished for, not only the one that failed.
// env: RUNNEL_TRACEBACK=all
// status: 2
// expect: ^fatal error: SIGSEGV: segmentation violation$
// expect: ^goroutine 1 \[running\]:$
// expect: ^goroutine [0-9]+ .*\[chan receive.*\]:$
// skip: asan tsan
#include <runnel/runnel.h>

int main() {
  runnel::run([] {
    runnel::chan<int> never;
    runnel::go({.name = "patient"}, [=] { never.recv(); });
    runnel::yield();
    volatile int* volatile nothing = nullptr;
    *nothing = 1;
  });
}
