// A goroutine's stack is overwritten, and with it what leads from each frame to its caller.
// status: 2
// expect: ^fatal error: SIG
// expect: ^goroutine 1 \[running\]:$
// expect: ^copy_name\(char const\*, unsigned long\)$
// expect: ^(rip|pc) +0x[0-9a-f]+$
// never: ^created by
// skip: asan tsan aarch64
#include <runnel/runnel.h>

#include <cstddef>
#include <cstdio>
#include <cstring>

[[gnu::noinline]] char copy_name(const char* name, std::size_t size) {
  char text[16];
  char* volatile to = text;
  std::memcpy(to, name, size);
  return to[0];
}

int main() {
  runnel::run([] {
    char name[400];
    std::memset(name, 0x41, sizeof name);
    std::putchar(copy_name(name, sizeof name));
  });
}
