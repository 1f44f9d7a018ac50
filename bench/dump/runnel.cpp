// dump: the stacks of 100,000 goroutines that wait to receive are written to /dev/null, while two
// others play ping-pong; time of the dump. No warm-up: whoever needs a dump needs the first one.
#include <fcntl.h>
#include <runnel/chan.h>
#include <runnel/debug.h>
#include <runnel/go.h>
#include <runnel/sync.h>
#include <unistd.h>

#include <atomic>

#include "common/arguments.h"
#include "common/metrics.h"
#include "common/stopwatch.h"

namespace {

// Frames of its own, as a program's goroutines have.
[[gnu::noinline]] int receive(const runnel::chan<int>& from) { return from.recv().value_or(0); }

[[gnu::noinline]] void serve(const runnel::chan<int>& requests, std::atomic<std::size_t>& begun) {
  ++begun;
  receive(requests);
}

class ping_pong {
 public:
  ping_pong() {
    players_.go([this] {
      while (auto v = ping_.recv()) pong_.send(*v);
    });
    players_.go([this] {
      while (!over_) {
        ping_.send(1);
        pong_.recv();
        ++round_trips_;
      }
      ping_.close();
    });
  }
  ~ping_pong() {
    over_ = true;
    players_.wait();
  }

  std::size_t round_trips() const { return round_trips_; }

 private:
  runnel::chan<int> ping_ = runnel::make_chan<int>(), pong_ = runnel::make_chan<int>();
  std::atomic<std::size_t> round_trips_ = 0;
  std::atomic<bool> over_ = false;
  runnel::wait_group players_;
};

}  // namespace

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  runnel::run(runnel::options{.max_procs = args.procs}, [&args] {
    const std::size_t goroutines = args.scaled(100'000);
    runnel::chan<int> requests = runnel::make_chan<int>();
    std::atomic<std::size_t> begun = 0;
    for (std::size_t g = 0; g < goroutines; ++g) {
      runnel::go([requests, &begun] { serve(requests, begun); });
    }
    while (begun < goroutines) runnel::yield();
    ping_pong others;
    while (others.round_trips() == 0) runnel::yield();

    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    const std::size_t before = others.round_trips();
    const bench::stopwatch watch;
    runnel::debug::write_stacks(nowhere);
    const double ms = watch.milliseconds();
    bench::require(others.round_trips() > before, "the others did not go on");
    close(nowhere);
    bench::print_metrics({{"ms", ms}});
  });
}
