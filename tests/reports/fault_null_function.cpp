// A function pointer that was never set is called.
// status: 2
// expect: ^fatal error: SIGSEGV: segmentation violation$
// expect: ^\[signal SIGSEGV: segmentation violation code=0x1 \(address not mapped\) addr=0x0 pc=0x0\]$
// expect: ^runnel: a call through a null pointer to a function$
// expect: ^goroutine 1 \[running\]:$
// expect: ^notify\(void \(\*\)\(int\)\)$
// skip: asan tsan
#include <runnel/runnel.h>

using callback = void (*)(int);

// What is done after the call keeps it from being a jump.
[[gnu::noinline]] int notify(callback on_change) {
  on_change(1);
  return 1;
}

int main() {
  runnel::run([] {
    volatile callback none = nullptr;
    return void(notify(none));
  });
}
