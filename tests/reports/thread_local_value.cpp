// A goroutine keeps something in a thread_local while it waits.
// status: 0
// expect: ^thread_local: [1-9]\d* of 100 goroutines read what another had written$
// expect: ^goroutine_local: 0 of 100$
// skip: tsan
#include <runnel/runnel.h>

#include <atomic>
#include <cstdio>

using namespace std::chrono_literals;

thread_local int request_of_thread = 0;
runnel::goroutine_local<int> request_of_goroutine;

int main() {
  runnel::run([] {
    std::atomic<int> mixed_up{0}, mixed_up_still{0};
    runnel::wait_group wg;
    for (int i = 0; i < 100; ++i) {
      wg.go([&, i] {
        request_of_thread = *request_of_goroutine = i;
        runnel::sleep(10ms);  // the thread runs others, and this goroutine goes on on any thread
        if (request_of_thread != i) ++mixed_up;
        if (*request_of_goroutine != i) ++mixed_up_still;
      });
    }
    wg.wait();
    std::fprintf(stderr, "thread_local: %d of 100 goroutines read what another had written\n",
                 mixed_up.load());
    std::fprintf(stderr, "goroutine_local: %d of 100\n", mixed_up_still.load());
  });
}
