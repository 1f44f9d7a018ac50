// The program fails inside its allocator, whose lock it holds: the report, which allocates, waits for that lock in vain,
// and does with what it has after ten seconds.
// status: 2
// expect: ^fatal error: SIGSEGV: segmentation violation$
// expect: ^runnel: the report does not get on
// expect: ^(rip|pc) +0x[0-9a-f]+$
// expect: ^goroutine 1 \[running\]:$
// expect: ^\t0x[0-9a-f]+ .*fault_hang_in_report.*\+0x[0-9a-f]+$
// skip: asan tsan
#include <pthread.h>
#include <runnel/runnel.h>

#include <cstddef>
#include <cstdlib>

extern "C" void* __libc_malloc(std::size_t size);

pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
int nothing_yet = 0;
int* volatile statistics = &nothing_yet;

extern "C" void* malloc(std::size_t size) {
  pthread_mutex_lock(&lock);
  ++*statistics;
  void* memory = __libc_malloc(size);
  pthread_mutex_unlock(&lock);
  return memory;
}

int main() {
  runnel::run([] {
    statistics = nullptr;
    std::free(std::malloc(100));
  });
}
