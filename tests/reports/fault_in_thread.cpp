// A plain thread writes through a null pointer while goroutines run.
// status: 2
// expect: ^fatal error: SIGSEGV: segmentation violation$
// expect: ^\[signal SIGSEGV: segmentation violation code=0x1 \(address not mapped\) addr=0x0 pc=0x[0-9a-f]+\]$
// expect: ^runnel: a null pointer$
// expect: ^thread [0-9]+ \[running\]:$
// expect: ^clear\(int\*\)$
// expect: ^(rip|pc) +0x[0-9a-f]+$
// never: ^goroutine
// skip: asan tsan
#include <runnel/runnel.h>

#include <thread>

[[gnu::noinline]] void clear(int* where) { *where = 0; }

int main() {
  runnel::run([] {
    int* volatile nothing = nullptr;
    std::thread worker([=] { clear(nothing); });
    worker.join();
  });
}
