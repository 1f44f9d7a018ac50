// A mutex is unlocked twice.
// status: 2
// expect: ^fatal error: sync: unlock of unlocked mutex$
#include <runnel/runnel.h>

int main() {
  runnel::run([] {
    runnel::mutex mu;
    mu.lock();
    mu.unlock();
    mu.unlock();
  });
}
