// A catch (...) ends what goexit has begun.
// status: 2
// expect: throw it again \(throw;\)
// expect: ^fatal error: goexit was stopped by a catch \(\.\.\.\)$
#include <runnel/runnel.h>

#include <cstdio>

void handle(int job) {
  if (job == 0) runnel::goexit();  // no more jobs
}

int main() {
  runnel::run([] {
    for (int job : {2, 1, 0}) {
      try {
        handle(job);
      } catch (...) {
        std::printf("job %d failed\n", job);
      }
    }
  });
}
