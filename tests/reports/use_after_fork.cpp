// A forked child goes on to use the runtime.
// status: 2
// expect: ^runnel: a forked child may only call exec or _exit
// expect: ^fatal error: runtime used after fork$
#include <runnel/runnel.h>
#include <sys/wait.h>
#include <unistd.h>

int main() {
  return runnel::run([] {
    auto answers = runnel::make_chan<int>(1);
    pid_t child = fork();
    if (child == 0) {
      answers.send(42);
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
  });
}
