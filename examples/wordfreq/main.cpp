// wordfreq: the most frequent words of whole directory trees.
//
// Every directory is listed and every file counted by a goroutine of its own, but only so many at a
// time: a gate stands before the start of a goroutine. So the walk runs ahead of the counting, but
// not far, however large the tree is. What is read is counted in one of a few tables, and these are
// merged in the end, again by many goroutines.
#include <runnel/go.h>
#include <runnel/sync.h>
#include <runnel/time.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "descriptors.h"
#include "gate.h"
#include "merge.h"
#include "options.h"
#include "progress.h"
#include "report.h"
#include "shared_counters.h"
#include "tally.h"
#include "walk.h"
#include "word_counter.h"

namespace {

using namespace wordfreq;
using namespace std::chrono_literals;

class count_job {
 public:
  explicit count_job(const options& given)
      : options_(given),
        counters_(static_cast<std::size_t>(runnel::max_procs())),
        gate_(given.jobs != 0 ? given.jobs : 4 * runnel::max_procs()) {}

  // Counts everything below the roots. Called once.
  void run() {
    if (options_.progress) {
      runnel::go([this] {
        do {
          runnel::sleep(100ms);
        } while (line_.draw(counters_.progress()));
      });
    }
    directory_listing named;
    for (const std::string& root : options_.roots) {
      if (const int error = look_at(root, named); error != 0) fail(root, error);
    }
    gate_.enter();
    visit(named);
    merge();
    line_.finish();
  }

  const ranking& words() const { return words_; }
  const tally& totals() const { return totals_; }
  bool root_failed() const { return root_failed_; }

 private:
  // Has everything found, and all below it, looked at by goroutines, and waits for them. Called
  // with a place behind the gate, which it gives to the first of them: so a directory that has been
  // begun is gone on with before another one is.
  void visit(directory_listing& found) {
    {
      const std::lock_guard guard(lock_);
      totals_.skipped += found.skipped;
    }
    bool has_place = true;
    const auto get_place = [&] {
      if (!std::exchange(has_place, false)) gate_.enter();
    };
    runnel::wait_group entries;
    for (std::string& path : found.files) {
      get_place();
      entries.go([this, path = std::move(path)] {
        count_file(path);
        gate_.leave();
      });
    }
    for (std::string& path : found.directories) {
      get_place();
      entries.go([this, path = std::move(path)] { visit_directory(path); });
    }
    if (has_place) gate_.leave();
    entries.wait();
  }

  void visit_directory(const std::string& path) {
    directory_listing found;
    const int error = descriptors_.use([&] { return list_directory(path, found); }, pause,
                                       [this] { return counters_.progress().bytes; });
    if (error != 0) fail(path, error);
    visit(found);
  }

  void count_file(const std::string& path) {
    std::size_t chunks = 0;
    const auto count = [&](const word_chunk& chunk) {
      counters_.count(chunk);
      // A large file lets others run now and then. They would get their turn without it, but to
      // give up a P costs less than to have it taken away.
      if (++chunks % chunks_between_yields == 0) runnel::yield();
    };
    // What is in the page cache is read at once. Only what is not is worth announcing to the
    // scheduler, which then has another goroutine run meanwhile.
    const auto wait = [](auto f) { runnel::blocking(f); };
    const int error = descriptors_.use([&] { return read_file(path, count, wait); }, pause,
                                       [this] { return counters_.progress().bytes; });
    if (error != 0) fail(path, error);
  }

  static constexpr std::size_t chunks_between_yields = 16;  // under a millisecond

  static void pause() { runnel::sleep(1ms); }

  void fail(const std::string& path, int error) {
    const std::lock_guard guard(lock_);
    totals_.add_failure(path, error);
    root_failed_ |= std::ranges::find(options_.roots, path) != options_.roots.end();
  }

  void merge() {
    std::vector<const word_table*> tables;
    counters_.for_each([&](const word_counter& counter) {
      totals_ += counter.tally();
      tables.push_back(&counter.words());
    });
    std::vector<ranking> of_shares(word_table::shares);
    runnel::wait_group merged;
    for (unsigned n = 0; n < word_table::shares; ++n) {
      merged.go([&, n] { of_shares[n] = merge_share(tables, n, options_.top); });
    }
    merged.wait();
    words_ = merge_rankings(std::move(of_shares), options_.top);
  }

  const options& options_;
  progress_line<runnel::mutex> line_;
  shared_counters counters_;
  gate gate_;
  descriptors descriptors_;

  alignas(64) runnel::mutex lock_;  // guards what follows until the goroutines have ended
  tally totals_;
  bool root_failed_ = false;

  ranking words_;
};

}  // namespace

int main(int argc, char** argv) {
  const auto [given, exit_status] = parse_options(argc, argv, "four for every processor");
  if (exit_status) return *exit_status;

  const stopwatch watch;
  // Lives here because the goroutine that draws the progress is not waited for: it ends with run.
  std::optional<count_job> job;
  runnel::run([&] {
    job.emplace(given);
    job->run();
  });
  const bool printed = print_result(job->words(), job->totals());
  print_failures(job->totals());
  print_speed(watch, job->totals());
  return printed && !job->root_failed() ? 0 : 1;
}
