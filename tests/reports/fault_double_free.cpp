// Memory is freed twice: the C library finds out.
// status: 2
// expect: double free detected
// expect: ^fatal error: SIGABRT: abort$
// expect: ^goroutine 1 \[running\]:$
// expect: ^release\(char\*\)$
// skip: asan tsan
#include <runnel/runnel.h>

#include <cstdlib>

[[gnu::noinline]] void release(char* text) {
  std::free(text);
  std::free(text);
}

int main() {
  runnel::run([] { release(static_cast<char*>(std::malloc(40))); });
}
