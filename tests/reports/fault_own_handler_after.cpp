// The program handles SIGSEGV itself, and says so during the run: its handler takes the place of ours.
// status: 7
// expect: ^handled by the program$
// never: ^fatal error|^goroutine
// skip: asan tsan
#include <runnel/runnel.h>
#include <unistd.h>

#include <csignal>

void handle(int) {
  constexpr char text[] = "handled by the program\n";
  if (write(STDERR_FILENO, text, sizeof text - 1) > 0) _exit(7);
}

int main() {
  runnel::run([] {
    std::signal(SIGSEGV, &handle);
    volatile int* volatile nothing = nullptr;
    *nothing = 1;
  });
}
