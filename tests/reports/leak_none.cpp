// Goroutines that still wait when main returns have not leaked as long as somebody could reach what they wait for.
// status: 0
// env: RUNNEL_DEBUG=leak=1
// env: RUNNEL_MAXPROCS=2
// never: .

#include <runnel/runnel.h>

#include <map>
#include <string>

using namespace runnel;
using namespace std::chrono_literals;

std::map<std::string, chan<int>> subscribers;
chan<int> ticks = make_chan<int>();

int main() {
  run([] {
    for (const char* name : {"a", "b", "c"}) {
      subscribers[name] = make_chan<int>();
      go([c = subscribers[name]] {
        for (int news : c) (void)news;
      });
    }
    go([answer = make_chan<int>()] {
      after_func(1h, [answer] { answer.send(1); });
      select(recv(answer), recv(ticks), timeout(1h));
    });
    sleep(1ms);
  });
}
