// An integer is divided by zero. (aarch64 answers 0, and goes on.)
// status: 2
// expect: ^fatal error: SIGFPE: arithmetic exception$
// expect: ^\[signal SIGFPE: arithmetic exception code=0x1 \(integer divide by zero\) addr=(0x[0-9a-f]+) pc=\1\]$
// expect: ^goroutine 1 \[running\]:$
// expect: ^average\(int, int\)$
// skip: asan tsan aarch64
#include <runnel/runnel.h>

#include <cstdio>

[[gnu::noinline]] int average(int sum, int count) { return sum / count; }

int main() {
  runnel::run([] {
    volatile int count = 0;
    std::printf("%d\n", average(1, count));
  });
}
