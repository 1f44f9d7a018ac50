// A deferred call panics while its function is panicking already.
// status: 2
// expect: ^panic: disk full$
// expect: ^\tpanic: cannot remove the temporary file$
// expect: ^goroutine \d+ \[running\]:$
#include <runnel/runnel.h>

void save() {
  runnel::func([](runnel::defer_stack& defer) {
    defer([] { runnel::panic("cannot remove the temporary file"); });
    runnel::panic("disk full");
  });
}

int main() {
  runnel::run([] { save(); });
}
