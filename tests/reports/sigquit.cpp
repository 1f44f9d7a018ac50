// The program does nothing wrong; somebody wants to know what it is doing, and types Ctrl-\.
// status: 2
// expect: ^SIGQUIT: quit$
// expect: ^goroutine 1 \[running\]:$
// expect: ^spin
// expect: sigquit\.cpp:\d+$
// expect: ^goroutine \d+ "server" \[sleep\]:$
// expect: ^created by main::.* in goroutine 1$
// never: ^(panic|fatal error)
// skip: tsan aarch64

#include <runnel/runnel.h>
#include <signal.h>

#include <chrono>

using namespace std::chrono_literals;

volatile bool over = false;

void spin() {
  while (!over) {
  }
}

int main() {
  runnel::run([] {
    runnel::go({.name = "server"}, [] { runnel::sleep(1h); });
    runnel::after_func(50ms, [] { raise(SIGQUIT); });  // as Ctrl-\ would
    spin();
  });
}
