#include <runnel/go.h>
#include <runnel/sync.h>

#include <cstdio>

int main() {
  runnel::run([] {
    runnel::wait_group group;
    group.go([] { std::puts("hello from a goroutine"); });
    group.wait();
  });
}
