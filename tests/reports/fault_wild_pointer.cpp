// A pointer is read from memory that something else has overwritten.
// status: 2
// expect: ^fatal error: SIGSEGV: segmentation violation$
// expect: ^\[signal SIGSEGV: segmentation violation code=0x(80 \(general protection\)|1 \(address not mapped\) addr=0x[0-9a-f]+) pc=0x[0-9a-f]+\]$
// expect: ^goroutine 1 \[running\]:$
// expect: ^follow\(int\*\*\)$
// skip: asan tsan
#include <runnel/runnel.h>

#include <cstdio>
#include <cstring>

[[gnu::noinline]] int follow(int** where) { return **where; }

int main() {
  runnel::run([] {
    int value = 0;
    int* pointer = &value;
    std::memcpy(&pointer, "overrun!", sizeof pointer);
    std::printf("%d\n", follow(&pointer));
  });
}
