// thread_channel: a value goes to and fro between two threads over two queues, each with a mutex
// and a condition variable; time of a round trip. Warm-up: a tenth of the round trips.
#include <condition_variable>
#include <mutex>
#include <optional>
#include <queue>
#include <thread>

#include "common/arguments.h"
#include "common/metrics.h"
#include "common/stopwatch.h"

namespace {

class queue {
 public:
  void push(std::size_t value) {
    {
      const std::lock_guard guard(lock_);
      values_.push(value);
    }
    changed_.notify_one();
  }

  void close() {
    {
      const std::lock_guard guard(lock_);
      closed_ = true;
    }
    changed_.notify_all();
  }

  // Waits for a value; nothing once the queue is closed and empty.
  std::optional<std::size_t> pop() {
    std::unique_lock guard(lock_);
    changed_.wait(guard, [this] { return closed_ || !values_.empty(); });
    if (values_.empty()) return std::nullopt;
    const std::size_t value = values_.front();
    values_.pop();
    return value;
  }

 private:
  std::mutex lock_;
  std::condition_variable changed_;
  std::queue<std::size_t> values_;
  bool closed_ = false;
};

void play(std::size_t round_trips) {
  queue ping, pong;
  std::thread thread([&ping, &pong] {
    while (const auto v = ping.pop()) pong.push(*v + 1);
  });
  std::size_t value = 0;
  for (std::size_t i = 0; i < round_trips; ++i) {
    ping.push(value);
    value = *pong.pop();
  }
  ping.close();
  thread.join();
  bench::require(value == round_trips, "the value");
}

}  // namespace

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  const std::size_t round_trips = args.scaled(50'000);
  play(round_trips / 10);
  const bench::stopwatch watch;
  play(round_trips);
  bench::print_metrics(
      {{"ns_per_round_trip", watch.nanoseconds() / static_cast<double>(round_trips)}});
}
