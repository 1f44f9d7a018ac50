// The memory that the report itself needs is damaged: there is no allocating any more.
// status: 2
// expect: ^fatal error: SIGSEGV: segmentation violation$
// expect: ^runnel: the report does not get on
// expect: ^(rip|pc) +0x[0-9a-f]+$
// expect: ^goroutine 1 \[running\]:$
// expect: ^\t0x[0-9a-f]+ .*fault_in_report.*\+0x[0-9a-f]+$
// skip: asan tsan
#include <runnel/runnel.h>

#include <cstddef>
#include <cstdlib>

extern "C" void* __libc_malloc(std::size_t size);

// Its bookkeeping, once broken, leads into nowhere.
int* volatile bookkeeping = new int(0);

extern "C" void* malloc(std::size_t size) {
  if (bookkeeping != nullptr) ++*bookkeeping;
  return __libc_malloc(size);
}

int main() {
  runnel::run([] {
    bookkeeping = reinterpret_cast<int*>(16);
    std::free(std::malloc(100));
  });
}
