// std::terminate without an exception: a joinable thread is destroyed.
// status: 2
// expect: ^fatal error: std::terminate called$
// expect: ^goroutine 1 \[running\]:$
// expect: ^std::thread::~thread\(\)|start_worker
// skip: tsan
#include <runnel/runnel.h>

#include <thread>

[[gnu::noinline]] void start_worker() {
  std::thread worker([] {});
}

int main() {
  runnel::run([] { start_worker(); });
}
