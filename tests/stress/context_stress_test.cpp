// Trees of contexts that are built, cancelled, asked and dropped by everybody at once.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "runnel/runnel.h"
#include "support/counted.h"
#include "support/scale.h"
#include "support/seed.h"
#include "support/timers_left.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::background;
using runnel::context;
using runnel::recv;
using runnel::run;
using runnel::select;
using runnel::with_cancel;
using runnel::with_value;

using ns = std::chrono::nanoseconds;

struct counted_key {
  using type = test::counted;
};

// Contexts that anybody may take a handle of, replace or drop.
class forest {
 public:
  static constexpr std::size_t many = 32;

  explicit forest(const context& root) : nodes_(many, root) {}

  context get(std::size_t i) {
    std::lock_guard hold(mu_);
    return nodes_[i];
  }
  context put(std::size_t i, context ctx) {
    std::lock_guard hold(mu_);
    return std::exchange(nodes_[i], std::move(ctx));
  }

 private:
  runnel::mutex mu_;
  std::vector<context> nodes_;
};

class context_stress : public testing::TestWithParam<int> {};

struct tally {
  std::atomic<long> contradictions{0};
  std::atomic<long> called{0}, not_stopped{0};
};

template <class T>
void grow(forest& f, const context& root, tally& t, T& rng) {
  auto any = [&] { return rng.below(forest::many); };
  context parent = rng.below(8) == 0 ? root : f.get(any());
  switch (rng.below(8)) {
    case 0:
    case 1: {
      auto [ctx, cancel] = with_cancel(parent);
      context before = f.put(any(), ctx);
      if (rng.below(2) == 0) cancel();
      if (parent.err() && rng.below(2) == 0) t.contradictions += !with_cancel(parent).ctx.err();
      break;
    }
    case 2: f.put(any(), with_timeout(parent, ns(rng.below(100'000))).ctx); break;
    case 3: f.put(any(), with_value<counted_key>(parent, test::counted(1))); break;
    case 4: f.put(any(), root); break;
    case 5: {
      auto [ctx, cancel] = with_cancel(parent);
      runnel::go([ctx = ctx] { ctx.done().recv(); });
      f.put(any(), ctx);
      runnel::go([cancel = cancel] { cancel(); });
      break;
    }
    case 6: {
      auto [ctx, cancel] = with_cancel(parent);
      auto stop = runnel::after_func(ctx, [&t, c = test::counted(1)] { t.called += c.value(); });
      context child = with_timeout(ctx, ns(rng.below(50'000))).ctx;
      if (rng.below(2) == 0) cancel();
      if (!stop()) ++t.not_stopped;
      f.put(any(), child);
      break;
    }
    case 7: {
      std::stop_source source;
      context ctx = with_stop_token(parent, source.get_token());
      std::stop_token token = ctx.stop_token();
      f.put(any(), ctx);
      source.request_stop();
      t.contradictions += !ctx.err();
      break;
    }
  }
}

template <class T>
void look(forest& f, T& rng) {
  context ctx = f.get(rng.below(forest::many));
  if (rng.below(2) == 0) {
    select(recv(ctx.done()), runnel::timeout(ns(rng.below(20'000))));
  } else {
    // One after the other: it may be cancelled in between.
    bool before = bool(ctx.err());
    bool has_cause = ctx.cause() != nullptr;
    EXPECT_TRUE(has_cause || !before);
    EXPECT_TRUE(ctx.err() || !has_cause);
    const test::counted* c = ctx.value<counted_key>();
    EXPECT_TRUE(c == nullptr || c->value() == 1);
  }
}

TEST_P(context_stress, trees_are_whole_and_leave_nothing) {
  test::no_counted_left check;
  const std::uint64_t seed = test::seed();
  RUNNEL_TRACE_SEED(seed);
  run({.max_procs = GetParam()}, [&] {
    long alive = test::counted::alive();
    tally t;
    {
      auto [root, cancel] = with_cancel(background());
      forest f(root);
      auto work = [&, &root = root](std::uint64_t who, int count) {
        runnel::base::random rng(seed + who);
        for (int i = 0; i < count; ++i) {
          grow(f, root, t, rng);
          if (rng.below(2) == 0) look(f, rng);
          if (rng.below(8) == 0) runnel::yield();
        }
      };
      runnel::wait_group wg;
      for (std::uint64_t i = 0; i < 6; ++i) wg.go([&, i] { work(i, test::scaled(3'000)); });
      std::thread plain(work, 6, test::scaled(3'000));
      wg.wait();
      runnel::blocking([&] { plain.join(); });
      EXPECT_FALSE(root.err());
      cancel();
      for (std::size_t i = 0; i < forest::many; ++i) {
        context ctx = f.get(i);
        EXPECT_TRUE(ctx.err());
        EXPECT_FALSE(ctx.done().recv());
      }
    }
    EXPECT_EQ(t.contradictions, 0);
    EXPECT_TRUE(test::eventually([&] { return t.called == t.not_stopped; }))
        << t.called << ' ' << t.not_stopped;
    EXPECT_TRUE(test::eventually([&] { return test::counted::alive() == alive; }));
    EXPECT_TRUE(test::eventually([] { return test::timers_in_heaps() == 0; }));
  });
}

TEST_P(context_stress, a_whole_tree_is_cancelled_while_it_grows) {
  const std::uint64_t seed = test::seed();
  RUNNEL_TRACE_SEED(seed);
  run({.max_procs = GetParam()}, [&] {
    for (int round = 0; round < test::scaled(200); ++round) {
      auto [root, cancel] = with_cancel(background());
      std::atomic<int> alive{0};
      runnel::wait_group wg;
      for (std::uint64_t k = 0; k < 4; ++k) {
        wg.go([&, k, &root = root] {
          runnel::base::random rng(seed + k);
          std::vector<context> mine{root};
          while (!mine.back().err()) {
            const context& parent = mine[rng.below(static_cast<std::uint32_t>(mine.size()))];
            mine.push_back(rng.below(2) == 0 ? with_cancel(parent).ctx
                                             : with_timeout(parent, 1h).ctx);
            if (rng.below(4) == 0) runnel::yield();
            if (mine.size() > 500) mine.resize(100);
          }
          for (auto& ctx : mine) alive += ctx.done().recv().has_value();
        });
      }
      test::compute_for(1us * (round % 50));
      runnel::yield();
      wg.go([&cancel = cancel] { cancel(); });
      cancel();
      wg.wait();
      ASSERT_EQ(alive, 0);
      ASSERT_TRUE(test::eventually([] { return test::timers_in_heaps() == 0; }));
    }
  });
}

TEST_P(context_stress, runs_end_with_contexts_of_all_kinds_in_use) {
  for (int round = 0; round < test::scaled(200); ++round) {
    auto [root, cancel] = with_cancel(background());
    run({.max_procs = GetParam()}, [&, &root = root] {
      for (int i = 0; i < 8; ++i) {
        runnel::go([i, ctx = with_timeout(root, 10us * i).ctx] {
          auto stop = runnel::after_func(ctx, [] {});
          select(recv(ctx.done()), recv(with_timeout(ctx, 5us * i).ctx.done()));
        });
      }
      runnel::sleep(1us * (round % 60));
    });
    context below = with_cancel(root).ctx;
    cancel();
    EXPECT_TRUE(below.err());
    EXPECT_FALSE(below.done().recv());
  }
}

INSTANTIATE_TEST_SUITE_P(procs, context_stress, testing::Values(1, 2, 8));

}  // namespace
