// A goroutine calls itself for ever.
// status: 2
// expect: ^runnel: goroutine stack exceeds 262144-byte limit \(goroutine [0-9]+ "parser"\)$
// expect: ^runnel: raise options\.stack_size, or go_options\.stack_size for this goroutine; or let large arrays live on the heap$
// expect: ^fatal error: stack overflow$
// expect: ^\[signal SIGSEGV: segmentation violation code=0x[12] \(.*\) addr=0x[0-9a-f]+ pc=0x[0-9a-f]+\]$
// expect: ^goroutine [0-9]+ "parser" \[running\]:$
// expect: ^expression\(int const&\)$
// expect: ^\.\.\.[0-9]+ frames elided\.\.\.$
// expect: ^expression\(int const&\)$
// expect: ^main::.*operator\(\)
// expect: ^created by main.* in goroutine 1$
// skip: asan tsan aarch64
#include <runnel/runnel.h>

#include <chrono>
#include <cstdio>

using namespace std::chrono_literals;

int expression(const int& outer);
[[gnu::noinline]] int term(const int& outer) {
  int mine = outer + 1;
  return expression(mine) + mine;
}
[[gnu::noinline]] int expression(const int& outer) {
  int mine = outer + 1;
  return term(mine) + mine;
}

int main() {
  runnel::run([] {
    runnel::go({.name = "parser"}, [] { std::printf("%d\n", expression(0)); });
    runnel::sleep(1h);
  });
}
