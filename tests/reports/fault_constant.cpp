// A string literal is written to.
// status: 2
// expect: ^fatal error: SIGSEGV: segmentation violation$
// expect: ^\[signal SIGSEGV: segmentation violation code=0x2 \(no permission\) addr=0x[0-9a-f]+ pc=0x[0-9a-f]+\]$
// expect: ^runnel: a write to memory that can only be read, as string literals and constants$
// expect: ^goroutine 1 \[running\]:$
// expect: ^capitalize\(char\*\)$
// skip: asan tsan
#include <runnel/runnel.h>

[[gnu::noinline]] void capitalize(char* text) { text[0] = static_cast<char>(text[0] - 32); }

int main() {
  runnel::run([] { capitalize(const_cast<char*>("text")); });
}
