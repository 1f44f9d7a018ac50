// The move constructor of a channel's element waits.
// status: 2
// expect: ^runnel: a move constructor that a channel calls must not wait
// expect: ^fatal error: goroutine waits in the move constructor of a channel's element$
#include <runnel/runnel.h>

using namespace std::chrono_literals;

struct message {
  message() = default;
  message(message&&) { runnel::sleep(1ms); }
};

int main() {
  runnel::run([] {
    auto inbox = runnel::make_chan<message>(1);
    inbox.send(message());
  });
}
