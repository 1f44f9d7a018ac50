// A file that is mapped into memory becomes shorter.
// status: 2
// expect: ^fatal error: SIGBUS: bus error$
// expect: ^\[signal SIGBUS: bus error code=0x2 \(nothing there: beyond the end of a file\?\) addr=0x[0-9a-f]+ pc=0x[0-9a-f]+\]$
// expect: ^goroutine 1 \[running\]:$
// expect: ^first_of\(char const\*\)$
// skip: asan tsan
#include <runnel/runnel.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>

[[gnu::noinline]] char first_of(const char* text) { return *text; }

int main() {
  std::FILE* file = std::tmpfile();
  if (file == nullptr || ftruncate(fileno(file), 4096) != 0) return 1;
  void* text = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fileno(file), 0);
  if (text == MAP_FAILED || ftruncate(fileno(file), 0) != 0) return 1;
  runnel::run([=] { std::putchar(first_of(static_cast<const char*>(text))); });
}
