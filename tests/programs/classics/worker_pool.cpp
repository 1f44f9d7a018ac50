// A worker pool: a fixed number of goroutines take jobs from one channel and send what came of
// them, a value or an error, to another, which is closed when the last of them has no more to do.
#include <runnel/chan.h>
#include <runnel/go.h>
#include <runnel/sync.h>

#include <cstdio>
#include <expected>
#include <vector>

namespace {

struct job {
  int id, from, to;
};

struct longest_chain {
  int start = 0, steps = 0;
};

struct result {
  int id = 0;
  std::expected<longest_chain, const char*> chain;
};

// The number in [from, to) that takes most steps to get to 1 by Collatz's rule.
std::expected<longest_chain, const char*> longest(const job& j) {
  if (j.from < 1) return std::unexpected("numbers begin with 1");
  if (j.from >= j.to) return std::unexpected("an empty range");
  longest_chain found;
  for (int i = j.from; i < j.to; ++i) {
    int n = 0;
    for (long x = i; x != 1; ++n) x = x % 2 == 0 ? x / 2 : 3 * x + 1;
    if (n > found.steps) found = {i, n};
  }
  return found;
}

void worker(const runnel::recv_chan<job>& jobs, const runnel::send_chan<result>& results) {
  for (job j : jobs) results.send({j.id, longest(j)});
}

}  // namespace

int main() {
  constexpr int workers = 4, width = 5000;
  std::vector<job> ranges;
  for (int i = 0; i < 24; ++i)
    ranges.push_back({i, i * width, (i + 1) * width});  // the first: from 0
  ranges[20].to = ranges[20].from;

  runnel::run([&] {
    auto jobs = runnel::make_chan<job>();
    auto results = runnel::make_chan<result>();
    runnel::go([&ranges, jobs] {
      for (const job& j : ranges) jobs.send(j);
      jobs.close();
    });
    runnel::wait_group pool;
    for (int i = 0; i < workers; ++i) pool.go([=] { worker(jobs, results); });
    runnel::go([&pool, results] {
      pool.wait();
      results.close();
    });

    std::vector<result> in_order(ranges.size());
    for (result r : results) in_order[static_cast<std::size_t>(r.id)] = r;
    for (const auto& [id, chain] : in_order) {
      if (chain) {
        std::printf("job %2d: %6d takes %d steps\n", id, chain->start, chain->steps);
      } else {
        std::printf("job %2d failed: %s\n", id, chain.error());
      }
    }
  });
}
