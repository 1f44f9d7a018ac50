// A ring of goroutines around which a token is passed, counting its steps down. Whoever has it when
// none are left closes the channel to the next one, and so, one by one, all of them end.
#include <runnel/chan.h>
#include <runnel/go.h>
#include <runnel/sync.h>

#include <cstdio>
#include <cstdlib>

namespace {

void node(int number, runnel::recv_chan<int> from, runnel::send_chan<int> to,
          runnel::send_chan<int> end) {
  for (int steps : from) {
    if (steps == 0) {
      end.send(number);
      break;
    }
    to.send(steps - 1);
  }
  to.close();
}

}  // namespace

int main(int argc, char** argv) {
  const int nodes = argc > 1 ? std::atoi(argv[1]) : 10'000;
  const int steps = 20 * nodes + nodes / 3;
  runnel::run([&] {
    auto end = runnel::make_chan<int>();
    auto first = runnel::make_chan<int>();
    auto from = first;
    runnel::wait_group ring;
    for (int i = 0; i < nodes; ++i) {
      auto to = i < nodes - 1 ? runnel::make_chan<int>() : first;
      ring.go([=] { node(i, from, to, end); });
      from = to;
    }

    first.send(steps);
    std::printf("%d nodes: after %d steps the token is at node %d\n", nodes, steps, *end.recv());
    ring.wait();
    std::puts("all nodes have ended");
  });
}
