// One of the workers returns early, without done().
// status: 2
// expect: ^fatal error: all goroutines are asleep - deadlock!$
// expect: ^goroutine 1 \[sync\.WaitGroup\.Wait\]:$
// expect: deadlock_wait_group\.cpp:\d+$
// skip: tsan aarch64

#include <runnel/runnel.h>

void work(runnel::wait_group& all, int part) {
  if (part == 3) return;
  all.done();
}

int main() {
  runnel::run([] {
    runnel::wait_group all;
    for (int part = 0; part < 5; ++part) {
      all.add(1);
      runnel::go([&all, part] { work(all, part); });
    }
    all.wait();
  });
}
