// A plain thread, with a stack for signal handlers, calls itself for ever.
// status: 2
// expect: ^fatal error: stack overflow of a thread$
// expect: ^\[signal SIGSEGV: segmentation violation code=0x[12] \(.*\) addr=0x[0-9a-f]+ pc=0x[0-9a-f]+\]$
// expect: ^thread [0-9]+ \[running\]:$
// expect: ^descend\(int const&\)$
// expect: frames elided\.\.\.$
// skip: asan tsan
#include <runnel/runnel.h>
#include <signal.h>

#include <cstdio>
#include <thread>
#include <vector>

[[gnu::noinline]] int descend(const int& outer) {
  int mine = outer + 1;
  return mine < 0 ? 0 : descend(mine) + mine;
}

void work() {
  std::vector<char> memory(1 << 16);
  stack_t handlers_stack{};
  handlers_stack.ss_sp = memory.data();
  handlers_stack.ss_size = memory.size();
  sigaltstack(&handlers_stack, nullptr);
  std::printf("%d\n", descend(0));
}

int main() {
  runnel::run([] {
    std::thread worker(&work);
    worker.join();
  });
}
