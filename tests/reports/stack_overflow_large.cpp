// A goroutine with a stack of its own size uses that up too.
// status: 2
// expect: ^runnel: goroutine stack exceeds 1048576-byte limit \(goroutine [0-9]+\)$
// expect: ^fatal error: stack overflow$
// expect: ^goroutine [0-9]+ \[running\]:$
// expect: ^fill\(int\)$
// expect: frames elided\.\.\.$
// skip: asan tsan
#include <runnel/runnel.h>

#include <chrono>
#include <cstring>

using namespace std::chrono_literals;

// Each call takes a page.
[[gnu::noinline]] int fill(int depth) {
  volatile char page[4096];
  page[0] = static_cast<char>(depth);
  return depth < 0 ? 0 : fill(depth + 1) + page[0];
}

int main() {
  runnel::run([] {
    runnel::go({.stack_size = 1 << 20}, [] { return void(fill(0)); });
    runnel::sleep(1h);
  });
}
