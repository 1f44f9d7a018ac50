// Random programs of goroutines and channels: stages between layers of channels, with fan-out and fan-in, every way to
// send and to receive, limits of time, feedback, plain threads, and closes that run down the layers. Whatever the
// program, all values arrive once, those that took one path in their order, and all stages end: a lost wake-up
// hangs the test. RUNNEL_TEST_SEED repeats a failure's program, though not its schedule.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "base/random.h"
#include "runnel/chan.h"
#include "runnel/runnel.h"
#include "runnel/select.h"
#include "support/scale.h"
#include "support/seed.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::chan;
using runnel::make_chan;
using runnel::run;
using runnel::base::random;

// Values are numbered by their source. Each carries a hash of the stages and channels it has passed.
struct value {
  int source = 0;
  int number = 0;
  std::uint64_t path = 0;
  std::unique_ptr<int> owned;  // movable only; must come along
};

struct tally {
  std::vector<std::unique_ptr<std::atomic<int>[]>> seen;  // [source][number]
  std::atomic<long> arrived{0}, doubled{0}, damaged{0}, disorder{0};
};

using layer = std::vector<chan<value>>;

// Of one stage: what it may do.
struct manner {
  int receive;  // 0 recv, 1 recv_for, 2 try_recv, 3 select, 4 selector
  int send;     // 0 send, 1 send_for, 2 try_send, 3 select, 4 select with a receive
};

class stage {
 public:
  stage(std::uint64_t seed, const layer& in, const layer& out, tally& counts)
      : choose_(seed), in_(in), out_(out), counts_(counts), id_(choose_.next()) {
    how_ = {static_cast<int>(choose_.below(5)), static_cast<int>(choose_.below(5))};
  }

  // Receives until all of `in` are closed and drained.
  void work() {
    while (std::optional<value> v = receive()) pass_on(std::move(*v));
  }

  void pass_on(value v) {
    if (out_.empty()) return note(v);
    const chan<value>& to = out_[choose_.below(static_cast<std::uint32_t>(out_.size()))];
    const std::uint64_t before = v.path;
    v.path = extended(before, to);
    switch (how_.send) {
      case 0: to.send(std::move(v)); return;
      case 1:
        while (!to.send_for(v, some_time())) {
        }
        return;
      case 2:
        // Not for ever: a receiver that only tries would never be met.
        while (!to.try_send(v) && !to.send_for(v, some_time())) runnel::yield();
        return;
      case 3: {
        const chan<value>& other = out_[choose_.below(static_cast<std::uint32_t>(out_.size()))];
        value w{v.source, v.number, extended(before, other), std::make_unique<int>(v.number)};
        runnel::select(runnel::send(to, std::move(v)), runnel::send(other, std::move(w)));
        if ((v.owned == nullptr) == (w.owned == nullptr)) ++counts_.damaged;
        return;
      }
      case 4:
        // Goes on receiving while it cannot send.
        for (;;) {
          std::optional<value> more;
          bool ended = in_.empty();
          chan<value> from =
              ended ? chan<value>() : in_[choose_.below(static_cast<std::uint32_t>(in_.size()))];
          std::size_t taken =
              runnel::select(runnel::recv(from, more), runnel::send(to, std::move(v)),
                             runnel::timeout(some_time()));
          if (taken == 1) return;
          if (taken == 0 && !more) {
            forget(from);
          } else if (taken == 0) {
            value first = std::move(v);
            v = std::move(*more);
            v.path = extended(v.path, to);
            to.send(std::move(first));
          }
        }
    }
  }

 private:
  std::uint64_t extended(std::uint64_t path, const chan<value>& to) const {
    return (path ^ id_ ^ std::hash<chan<value>>()(to)) * 0x9e3779b97f4a7c15;
  }

  std::optional<value> receive() {
    while (!in_.empty()) {
      std::uint32_t at = choose_.below(static_cast<std::uint32_t>(in_.size()));
      chan<value> from = in_[at];
      switch (in_.size() > 1 ? 3 + how_.receive % 2 : how_.receive) {
        case 0:
          if (auto v = from.recv()) return v;
          forget(from);
          break;
        case 1: {
          auto v = from.recv_for(some_time());
          if (v) return std::move(*v);
          if (v.error() == runnel::chan_errc::closed) forget(from);
          break;
        }
        case 2: {
          auto v = from.try_recv();
          if (v) return std::move(*v);
          if (v.error() == runnel::chan_errc::closed) {
            forget(from);
          } else {
            runnel::yield();
          }
          break;
        }
        case 3: {
          chan<value> other = in_[choose_.below(static_cast<std::uint32_t>(in_.size()))];
          std::optional<value> v;
          std::size_t taken = runnel::select(runnel::recv(from, v), runnel::recv(other, v),
                                             runnel::timeout(some_time()));
          if (v) return v;
          if (taken == 0) forget(from);
          if (taken == 1) forget(other);
          break;
        }
        case 4: {
          runnel::selector s;
          std::optional<value> v;
          for (auto& ch : in_) s.recv(ch, v);
          std::size_t taken = s.wait();
          if (v) return v;
          forget(chan<value>(in_[taken]));
          break;
        }
      }
    }
    return {};
  }

  // By value: it may be an element of in_.
  void forget(chan<value> closed) {
    std::erase_if(in_, [&](const chan<value>& ch) { return ch == closed; });
  }

  std::chrono::microseconds some_time() { return std::chrono::microseconds(choose_.below(60)); }

  // What came from one source through the same stages and channels comes in its order.
  void note(const value& v) {
    if (!v.owned || *v.owned != v.number) ++counts_.damaged;
    if (counts_.seen[v.source][v.number]++ != 0) ++counts_.doubled;
    ++counts_.arrived;
    for (auto& [source, path, number] : last_) {
      if (source != v.source || path != v.path) continue;
      if (number >= v.number) ++counts_.disorder;
      number = v.number;
      return;
    }
    last_.emplace_back(v.source, v.path, v.number);
  }

  random choose_;
  layer in_;
  const layer& out_;
  tally& counts_;
  std::uint64_t id_;
  manner how_;
  std::vector<std::tuple<int, std::uint64_t, int>> last_;
};

// Small, so that waiting is frequent.
std::size_t some_capacity(random& choose) {
  static constexpr std::size_t some[] = {0, 0, 1, 2, 3, 17};
  return some[choose.below(6)];
}

void run_program(std::uint64_t seed, int procs) {
  SCOPED_TRACE("seed of the program: " + std::to_string(seed) + ", Ps: " + std::to_string(procs));
  random choose(seed);
  int depth = 1 + static_cast<int>(choose.below(4));
  int sources = 1 + static_cast<int>(choose.below(4));
  int each = test::scaled(50 + static_cast<int>(choose.below(400)));
  bool with_threads = choose.below(3) == 0;
  tally counts;
  for (int s = 0; s < sources; ++s) {
    counts.seen.push_back(std::make_unique<std::atomic<int>[]>(each));
  }
  run({.max_procs = procs}, [&] {
    // layers[0] is what sources send to, the last has no channels: its stages are the sinks.
    std::vector<layer> layers(depth + 1);
    for (int d = 0; d < depth; ++d) {
      for (int i = 1 + static_cast<int>(choose.below(4)); i > 0; --i) {
        layers[d].push_back(make_chan<value>(some_capacity(choose)));
      }
    }
    std::vector<std::thread> threads;
    runnel::wait_group all;
    auto spawn = [&](auto f) {
      if (with_threads && choose.below(4) == 0) {
        threads.emplace_back(std::move(f));
      } else {
        all.go(std::move(f));
      }
    };
    // The last to leave a layer closes what it sends to.
    std::vector<std::unique_ptr<std::atomic<int>>> at_work;
    auto close_layer = [&](int d) {
      if (--*at_work[d] != 0) return;
      for (auto& ch : layers[d]) ch.close();
    };
    for (int d = 0; d <= depth; ++d) at_work.push_back(std::make_unique<std::atomic<int>>(0));
    static const layer nothing;
    std::vector<std::pair<int, std::uint64_t>> stages;  // their layers and seeds
    for (int d = 0; d < depth; ++d) {
      // At least as many as channels: each channel has a reader.
      int n = static_cast<int>(layers[d].size() + choose.below(3));
      for (int i = 0; i < n; ++i) stages.emplace_back(d, choose.next());
    }
    *at_work[0] = sources;
    for (auto& [d, s] : stages) ++*at_work[d + 1];
    for (int s = 0; s < sources; ++s) {
      spawn([&, s, own = choose.next()] {
        stage source(own, nothing, layers[0], counts);
        for (int i = 0; i < each; ++i) {
          source.pass_on({s, i, 0, std::make_unique<int>(i)});
        }
        close_layer(0);
      });
    }
    std::vector<std::size_t> next(depth, 0);
    for (auto& [d, s] : stages) {
      const layer& from = layers[d];
      // The first of a layer's stages see to it that no channel is without a reader.
      layer in = random(s).below(2) == 0 ? layer{from[next[d] % from.size()]} : from;
      ++next[d];
      spawn([&, d = d, s = s, in = std::move(in)] {
        stage here(s, in, layers[d + 1], counts);
        here.work();
        close_layer(d + 1);
      });
    }
    all.wait();
    runnel::blocking([&] {
      for (auto& t : threads) t.join();
    });
    for (auto& channels : layers) {
      for (auto& ch : channels) EXPECT_EQ(ch.len(), 0U);
    }
  });
  EXPECT_EQ(counts.arrived, static_cast<long>(sources) * each);
  EXPECT_EQ(counts.doubled, 0);
  EXPECT_EQ(counts.damaged, 0);
  EXPECT_EQ(counts.disorder, 0);
}

void run_programs(int procs, int n) {
  std::uint64_t seed = test::seed();
  RUNNEL_TRACE_SEED(seed);
  std::printf("RUNNEL_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  random choose(seed);
  for (int i = 0; i < n && !testing::Test::HasFailure(); ++i) run_program(choose.next(), procs);
}

TEST(chan_fuzz, random_programs_end_and_lose_nothing_with_one_p) { run_programs(1, 200); }
TEST(chan_fuzz, random_programs_end_and_lose_nothing_with_two_ps) { run_programs(2, 200); }
TEST(chan_fuzz, random_programs_end_and_lose_nothing_with_more_ps_than_cores) {
  run_programs(8, 200);
}

}  // namespace
