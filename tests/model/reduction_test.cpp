// The interleaver leaves out only schedules that show nothing new: on random programs, the reduced search finds the
// same outcomes and failures as the naive one, which tries every order of every two steps.

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "model/interleaver.h"

namespace runnel::model {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr auto acquire = std::memory_order_acquire;
constexpr auto release = std::memory_order_release;

// The naive search is long: sanitizers and unoptimized builds get fewer programs.
#if defined(__OPTIMIZE__)
constexpr bool fast = fiber::uses_longjmp;
#else
constexpr bool fast = false;
#endif
constexpr int outcome_programs = fast ? 15 : 5;
constexpr int failure_programs = fast ? 40 : 10;

// A random program, what its loads may see and leave in memory, and whether it can go wrong.
class random_program {
 public:
  // With hazards it also touches plain data, and sleeps without a deadline.
  random_program(std::uint32_t seed, bool hazards) : random_(seed) {
    auto below = [this](int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); };
    int threads = 2 + below(2);
    int kinds = (hazards ? 11 : 8) + below(2);
    for (int t = 0; t < threads; ++t) {
      std::vector<step>& steps = threads_.emplace_back();
      for (int i = 0, n = threads == 2 ? 3 : 2; i < n; ++i) {
        int kind = below(kinds);
        if (kind == (hazards ? 11 : 8)) kind = heavy;
        steps.push_back({kind, below(2), below(3) + 1});
      }
    }
    if (hazards) deadline_ = std::numeric_limits<std::int64_t>::max();
  }

  struct findings {
    bool ok = false;
    std::set<std::string> outcomes;  // only if nothing goes wrong: what does ends the search
    bool operator==(const findings&) const = default;
  };

  findings run(const options& wanted) {
    findings found;
    result r = explore(wanted, [&](program& p) {
      auto& s = p.make<state>();
      s.seen.resize(threads_.size());
      for (std::size_t t = 0; t < threads_.size(); ++t) {
        p.thread([this, &s, t] {
          // The threads own no strings: they may be dropped in the middle.
          for (const step& next : threads_[t]) {
            s.seen[t] += static_cast<char>('0' + take(s, next));
          }
        });
      }
      p.finally([&] {
        std::string outcome;
        for (const std::string& seen : s.seen) outcome += seen + " ";
        for (auto& c : s.cells) outcome += std::to_string(c.load()) + " ";
        found.outcomes.insert(outcome);
      });
    });
    EXPECT_EQ(r.ok, r.complete) << r.trace;
    found.ok = r.ok;
    if (!r.ok) found.outcomes.clear();
    return found;
  }

 private:
  static constexpr int heavy = -1;
  struct step {
    int kind, cell, value;
  };
  struct state {
    sync::atomic<int> cells[2]{};
    sync::atomic<std::uint32_t> word{0};
    var<int> data;
    std::vector<std::string> seen;
  };

  int take(state& s, const step& next) const {
    sync::atomic<int>& cell = s.cells[next.cell];
    switch (next.kind) {
      case heavy: sync::heavy_fence(); return 0;
      case 0:
      case 1: cell.store(next.value, next.value == 1 ? release : relaxed); return 0;
      case 2:
      case 3: return cell.load(next.value == 1 ? relaxed : acquire);
      case 4: return cell.exchange(next.value);
      case 5: sync::fence(); return 0;
      case 6: return bed::sleep(s.word, 0, deadline_) ? 1 : 0;
      case 7: bed::wake(s.word); return 0;
      case 8: s.word.store(1, release); return 0;
      case 9:
        if (cell.load(acquire) != 0) return s.data;
        return 0;
      default:
        s.data = next.value;
        cell.store(1, release);
        return 0;
    }
  }

  std::mt19937 random_;
  std::int64_t deadline_ = 1;
  std::vector<std::vector<step>> threads_;
};

constexpr options naive = {.max_executions = ~std::uint64_t{0}, .reduce = false};

TEST(reduction, leaves_no_outcome_out_by_reduction) {
  for (int seed = 0; seed < outcome_programs; ++seed) {
    random_program program(static_cast<std::uint32_t>(seed), false);
    EXPECT_EQ(program.run({}).outcomes, program.run(naive).outcomes) << "seed " << seed;
  }
}

TEST(reduction, leaves_no_failure_out_by_reduction) {
  int failures = 0;
  for (int seed = 0; seed < failure_programs; ++seed) {
    random_program program(static_cast<std::uint32_t>(seed), true);
    random_program::findings found = program.run({});
    EXPECT_EQ(found, program.run(naive)) << "seed " << seed;
    failures += found.ok ? 0 : 1;
  }
  EXPECT_GT(failures, 0);
  EXPECT_LT(failures, failure_programs);
}

TEST(reduction, has_all_outcomes_under_a_wide_bound) {
  for (int seed = 0; seed < outcome_programs; ++seed) {
    random_program program(static_cast<std::uint32_t>(seed), false);
    EXPECT_EQ(program.run({}).outcomes, program.run({.max_preemptions = 20}).outcomes)
        << "seed " << seed;
  }
}

}  // namespace
}  // namespace runnel::model
