// The main goroutine puts a large array on a small stack.
// status: 2
// expect: ^runnel: goroutine stack exceeds 65536-byte limit \(goroutine 1\)$
// expect: ^fatal error: stack overflow$
// expect: ^goroutine 1 \[running\]:$
// expect: ^sum_of_many\(\)$
// skip: asan tsan
#include <runnel/runnel.h>

#include <cstdio>

[[gnu::noinline]] int sum_of_many() {
  volatile char many[50'000];
  int sum = 0;
  for (char value : many) sum += value;
  return sum;
}

int main() {
  runnel::run(runnel::options{.stack_size = 64 << 10}, [] { std::printf("%d\n", sum_of_many()); });
}
