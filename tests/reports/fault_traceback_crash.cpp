// The process is to end as if nobody had handled the signal, with a core where cores are written.
// env: RUNNEL_TRACEBACK=crash
// status: SIGSEGV
// expect: ^fatal error: SIGSEGV: segmentation violation$
// expect: ^goroutine 1 \[running\]:$
// expect: ^(rip|pc) +0x[0-9a-f]+$
// skip: asan tsan
#include <runnel/runnel.h>
#include <sys/resource.h>

int main() {
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  runnel::run([] {
    volatile int* volatile nothing = nullptr;
    *nothing = 1;
  });
}
