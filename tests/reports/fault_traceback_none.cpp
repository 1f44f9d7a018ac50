// No stacks are wished for.
// env: RUNNEL_TRACEBACK=none
// status: 2
// expect: ^fatal error: SIGSEGV: segmentation violation$
// expect: ^\[signal SIGSEGV: segmentation violation code=0x1 \(address not mapped\) addr=0x0 pc=0x[0-9a-f]+\]$
// never: ^goroutine|^thread|^\t|^r?ip
// skip: asan tsan
#include <runnel/runnel.h>

int main() {
  runnel::run([] {
    volatile int* volatile nothing = nullptr;
    *nothing = 1;
  });
}
