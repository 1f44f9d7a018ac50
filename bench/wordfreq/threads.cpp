// wordfreq on a pool of threads, to compare with the one on goroutines in examples/wordfreq: the
// same counting, walking, merging and printing code, and what a careful engineer would put around
// it without a runtime. One thread for every processor takes paths from a queue and counts into a
// table of its own; the main thread walks the tree and fills the queue; when that is empty for
// good, the same threads merge the tables.
#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "../../examples/wordfreq/descriptors.h"
#include "../../examples/wordfreq/merge.h"
#include "../../examples/wordfreq/options.h"
#include "../../examples/wordfreq/progress.h"
#include "../../examples/wordfreq/report.h"
#include "../../examples/wordfreq/tally.h"
#include "../../examples/wordfreq/walk.h"
#include "../../examples/wordfreq/word_counter.h"

namespace {

using namespace wordfreq;
using namespace std::chrono_literals;

class path_queue {
 public:
  void push(std::string path) {
    {
      const std::lock_guard guard(lock_);
      paths_.push_back(std::move(path));
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

  // Waits for a path; nothing once the queue is closed and empty.
  std::optional<std::string> pop() {
    std::unique_lock guard(lock_);
    changed_.wait(guard, [this] { return closed_ || !paths_.empty(); });
    if (paths_.empty()) return std::nullopt;
    std::optional<std::string> path = std::move(paths_.front());
    paths_.pop_front();
    return path;
  }

 private:
  std::mutex lock_;
  std::condition_variable changed_;
  std::deque<std::string> paths_;
  bool closed_ = false;
};

class count_job {
 public:
  explicit count_job(const options& given)
      : options_(given),
        threads_(given.jobs != 0 ? static_cast<unsigned>(given.jobs)
                                 : std::max(1u, std::thread::hardware_concurrency())) {}

  // Counts everything below the roots. Called once.
  void run() {
    for (unsigned i = 0; i < threads_; ++i) counters_.push_back(std::make_unique<word_counter>());
    std::optional<std::jthread> drawer;
    if (options_.progress) drawer.emplace([this](std::stop_token stop) { draw(stop); });

    std::vector<ranking> of_shares(word_table::shares);
    {
      std::barrier counted(threads_, [this]() noexcept { collect_tables(); });
      std::vector<std::jthread> pool;
      for (const auto& owned : counters_) {
        word_counter& counter = *owned;
        pool.emplace_back([&] {
          count_files(counter);
          counted.arrive_and_wait();
          for (unsigned n; (n = next_share_.fetch_add(1)) < word_table::shares;) {
            of_shares[n] = merge_share(tables_, n, options_.top);
          }
        });
      }
      walk();
      queue_.close();
    }
    for (const auto& counter : counters_) totals_ += counter->tally();
    words_ = merge_rankings(std::move(of_shares), options_.top);
    line_.finish();
  }

  const ranking& words() const { return words_; }
  const tally& totals() const { return totals_; }
  bool root_failed() const { return root_failed_; }

 private:
  void walk() {
    std::vector<std::string> directories;
    const auto queue_files = [&](directory_listing& found) {
      for (std::string& path : found.files) queue_.push(std::move(path));
      for (std::string& path : found.directories) directories.push_back(std::move(path));
      const std::lock_guard guard(lock_);
      totals_.skipped += found.skipped;
    };
    for (const std::string& root : options_.roots) {
      directory_listing found;
      if (const int error = look_at(root, found); error != 0) fail(root, error);
      queue_files(found);
    }
    while (!directories.empty()) {
      const std::string path = std::move(directories.back());
      directories.pop_back();
      directory_listing found;
      const int error = descriptors_.use([&] { return list_directory(path, found); }, pause,
                                         [this] { return progress_now().bytes; });
      if (error != 0) fail(path, error);
      queue_files(found);
    }
  }

  void count_files(word_counter& counter) {
    while (const auto path = queue_.pop()) {
      const int error = descriptors_.use(
          [&] {
            return read_file(
                *path, [&](const word_chunk& chunk) { counter.count(chunk); }, [](auto f) { f(); });
          },
          pause, [this] { return progress_now().bytes; });
      if (error != 0) fail(*path, error);
    }
  }

  progress progress_now() const {
    progress sum;
    for (const auto& counter : counters_) {
      const progress one = counter->progress();
      sum.files += one.files;
      sum.bytes += one.bytes;
    }
    return sum;
  }

  static void pause() { std::this_thread::sleep_for(1ms); }

  void collect_tables() {
    for (const auto& counter : counters_) tables_.push_back(&counter->words());
  }

  void fail(const std::string& path, int error) {
    const std::lock_guard guard(lock_);
    totals_.add_failure(path, error);
    root_failed_ |= std::ranges::find(options_.roots, path) != options_.roots.end();
  }

  void draw(std::stop_token stop) {
    std::mutex idle;
    std::condition_variable_any stopped;
    std::unique_lock guard(idle);
    do {
      stopped.wait_for(guard, stop, 100ms, [] { return false; });
    } while (line_.draw(progress_now()));
  }

  const options& options_;
  const unsigned threads_;
  path_queue queue_;
  descriptors descriptors_;
  progress_line<std::mutex> line_;
  std::vector<std::unique_ptr<word_counter>> counters_;  // one for every thread
  std::vector<const word_table*> tables_;
  std::atomic<unsigned> next_share_{0};

  std::mutex lock_;  // guards what follows until the threads have ended
  tally totals_;
  bool root_failed_ = false;

  ranking words_;
};

}  // namespace

int main(int argc, char** argv) {
  const auto [given, exit_status] = parse_options(argc, argv, "one for every processor");
  if (exit_status) return *exit_status;

  const stopwatch watch;
  count_job job(given);
  job.run();
  const bool printed = print_result(job.words(), job.totals());
  print_failures(job.totals());
  print_speed(watch, job.totals());
  return printed && !job.root_failed() ? 0 : 1;
}
