// A goroutine reads a member of an object through a null pointer.
// status: 2
// expect: ^fatal error: SIGSEGV: segmentation violation$
// expect: ^\[signal SIGSEGV: segmentation violation code=0x1 \(address not mapped\) addr=0x8 pc=0x[0-9a-f]+\]$
// expect: ^runnel: a null pointer, or a member 8 bytes into an object at one$
// expect: ^goroutine [0-9]+ "reader" \[running\]:$
// expect: ^length_of\(list const\*\)$
// expect: ^\t.*/fault_null_pointer\.cpp:[0-9]+$
// expect: ^created by main.* in goroutine 1$
// expect: ^(rip|pc) +0x[0-9a-f]+$
// never: ^goroutine 1 \[
// skip: asan tsan aarch64
#include <runnel/runnel.h>

#include <chrono>
#include <cstdio>

using namespace std::chrono_literals;

struct list {
  list* next;
  int length;
};

// Lengths of lists that were never made.
[[gnu::noinline]] int length_of(const list* some) { return some->length; }

int main() {
  runnel::run([] {
    list* volatile nothing = nullptr;
    runnel::go({.name = "reader"}, [=] { std::printf("%d\n", length_of(nothing)); });
    runnel::sleep(1h);
  });
}
