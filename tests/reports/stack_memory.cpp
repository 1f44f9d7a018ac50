// More goroutines wait at once than the address space has stacks for.
// status: 2
// expect: ^runnel: no memory for a goroutine's stack: .*stack_size
// expect: ^fatal error: out of memory for goroutine stacks$
// skip: asan tsan aarch64
#include <runnel/runnel.h>
#include <sys/resource.h>

int main() {
  rlimit little{1 << 30, 1 << 30};
  setrlimit(RLIMIT_AS, &little);
  runnel::run({.stack_size = 64 << 20}, [] {
    auto gate = runnel::make_chan<int>();
    runnel::wait_group wg;
    for (int i = 0; i < 100; ++i) wg.go([=] { gate.recv(); });
    wg.wait();
  });
}
