// A rate limiter: a bucket of tokens to which a ticker adds one at a time, up to a limit. Who has
// no token to take waits for one, or until its context ends. And a timer that is put off again and
// again.
#include <runnel/chan.h>
#include <runnel/context.h>
#include <runnel/go.h>
#include <runnel/select.h>
#include <runnel/sync.h>
#include <runnel/time.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <system_error>

namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

const char* yes_or_no(bool b) { return b ? "true" : "false"; }

class limiter {
 public:
  // Begins with a full bucket. Once it is empty, a token comes every interval.
  limiter(runnel::duration interval, std::size_t bucket)
      : tokens_(runnel::make_chan<runnel::unit>(bucket)) {
    for (std::size_t i = 0; i < bucket; ++i) tokens_.send({});
    filler_.go([this, interval] { fill(interval); });
  }
  ~limiter() {
    closing_.close();
    filler_.wait();
  }

  // Takes a token if there is one.
  bool allow() { return tokens_.try_recv().has_value(); }

  // Takes a token when there is one.
  std::error_code wait(const runnel::context& ctx) {
    switch (runnel::select(runnel::recv(tokens_), runnel::recv(ctx.done()))) {
      case 0: return {};
      default: return ctx.err();
    }
  }

 private:
  void fill(runnel::duration interval) {
    runnel::ticker ticker(interval);
    while (runnel::select(runnel::recv(ticker.c()), runnel::recv(closing_)) == 0) {
      runnel::unit token;
      tokens_.try_send(token);  // unless the bucket is full
    }
  }

  runnel::chan<runnel::unit> tokens_;
  runnel::chan<runnel::unit> closing_ = runnel::make_chan<runnel::unit>();
  runnel::wait_group filler_;
};

void bursts() {
  limiter slow(1h, 5);
  int allowed = 0;
  for (int i = 0; i < 8; ++i) allowed += slow.allow() ? 1 : 0;
  std::printf("of a burst of 8, %d were allowed\n", allowed);

  auto [ctx, cancel] = runnel::with_timeout(runnel::background(), 10ms);
  const std::error_code error = slow.wait(ctx);
  std::printf("waited for a token until the deadline: %s\n",
              yes_or_no(error == runnel::context_errc::deadline_exceeded));
  cancel();
}

void steady_work() {
  constexpr auto interval = 1ms;
  constexpr int bucket = 5, workers = 4, each = 10;
  const auto begin = steady_clock::now();
  limiter fast(interval, bucket);
  std::array<int, workers> done{};
  runnel::wait_group all;
  for (int& mine : done) {
    all.go([&] {
      while (mine < each && !fast.wait(runnel::background())) ++mine;
    });
  }
  all.wait();
  constexpr auto at_least = (workers * each - bucket) * interval;
  std::printf("tokens taken by each worker: [%d %d %d %d]; not faster than allowed: %s\n", done[0],
              done[1], done[2], done[3], yes_or_no(steady_clock::now() - begin >= at_least));
}

// Closes a session some time after its last message.
void idle_timer() {
  auto messages = runnel::make_chan<int>();
  runnel::go([messages] {
    for (int i = 1; i <= 100; ++i) messages.send(i);
  });
  runnel::timer idle(1h);
  int received = 0;
  bool expired = false;
  while (!expired) {
    runnel::select(runnel::recv(messages,
                                [&](auto) {
                                  ++received;
                                  if (received < 100) {
                                    idle.reset(1h);
                                  } else {
                                    idle.reset(1ms);
                                  }
                                }),
                   runnel::recv(idle.c(), [&](auto) { expired = true; }));
  }
  std::printf("idle after %d messages; timer still running: %s\n", received,
              yes_or_no(idle.stop()));
}

}  // namespace

int main() {
  runnel::run([] {
    bursts();
    steady_work();
    idle_timer();
  });
}
