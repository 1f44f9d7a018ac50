// Deadlines of contexts.

#include <gtest/gtest.h>

#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

#include "runnel/runnel.h"
#include "support/counted.h"
#include "support/scale.h"
#include "support/timers_left.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::background;
using runnel::context;
using runnel::context_errc;
using runnel::run;
using runnel::time_point;
using runnel::with_cancel;
using runnel::with_deadline;
using runnel::with_timeout;

const std::error_code canceled = context_errc::canceled;
const std::error_code exceeded = context_errc::deadline_exceeded;

struct counted_key {
  using type = test::counted;
};

TEST(context_deadline, cancels_the_context_when_it_has_passed) {
  run([] {
    auto until = test::clock::now() + 2ms;
    auto [ctx, cancel] = with_deadline(background(), until);
    EXPECT_EQ(ctx.deadline(), until);
    EXPECT_FALSE(ctx.done().recv());
    EXPECT_GE(test::clock::now(), until);
    EXPECT_EQ(ctx.err(), exceeded);
    EXPECT_THROW(std::rethrow_exception(ctx.cause()), std::system_error);
    cancel();
    EXPECT_EQ(ctx.err(), exceeded);
    EXPECT_EQ(ctx.deadline(), until);
  });
}

TEST(context_deadline, in_the_past_cancels_at_once) {
  for (auto t : {test::clock::now(), test::clock::now() - 1h, time_point::min()}) {
    auto [ctx, cancel] = with_deadline(background(), t);
    EXPECT_EQ(ctx.err(), exceeded);
    EXPECT_EQ(with_cancel(ctx).ctx.err(), exceeded);
  }
  EXPECT_EQ(with_timeout(background(), 0s).ctx.err(), exceeded);
  EXPECT_EQ(with_timeout(background(), std::chrono::nanoseconds::min()).ctx.err(), exceeded);
}

TEST(context_deadline, of_the_longest_time_does_not_overflow) {
  for (auto ctx : {with_timeout(background(), std::chrono::hours::max()).ctx,
                   with_timeout(background(), std::chrono::nanoseconds::max()).ctx,
                   with_deadline(background(), time_point::max()).ctx}) {
    EXPECT_FALSE(ctx.err());
    EXPECT_GT(ctx.deadline().value_or(time_point::max()), test::clock::now() + 24h);
  }
}

TEST(context_deadline, only_shrinks_down_the_tree) {
  auto now = test::clock::now();
  auto [root, cancel] = with_deadline(background(), now + 1h);
  EXPECT_EQ(with_deadline(root, now + 2h).ctx.deadline(), now + 1h);
  EXPECT_EQ(with_deadline(root, now + 30min).ctx.deadline(), now + 30min);
  EXPECT_EQ(with_cancel(root).ctx.deadline(), now + 1h);
  EXPECT_EQ(with_deadline(with_deadline(root, now + 30min).ctx, now + 1h).ctx.deadline(),
            now + 30min);
  EXPECT_FALSE(without_cancel(root).deadline());
  EXPECT_EQ(with_deadline(without_cancel(root), now + 2h).ctx.deadline(), now + 2h);
}

TEST(context_deadline, of_the_parent_cancels_the_child) {
  run([] {
    auto [root, cancel_root] = with_timeout(background(), 2ms);
    auto [child, cancel] = with_timeout(root, 1h);
    auto [same, cancel_same] = with_deadline(root, *root.deadline());
    EXPECT_FALSE(child.done().recv());
    EXPECT_EQ(child.err(), exceeded);
    EXPECT_FALSE(same.done().recv());
    EXPECT_EQ(same.err(), exceeded);
  });
}

TEST(context_deadline, of_the_child_leaves_the_parent_alone) {
  run([] {
    auto [root, cancel_root] = with_timeout(background(), 1h);
    auto [child, cancel] = with_timeout(root, 1ms);
    EXPECT_FALSE(child.done().recv());
    EXPECT_FALSE(root.err());
  });
}

TEST(context_deadline, keeps_no_timer_once_the_context_is_cancelled) {
  run([] {
    auto [root, cancel_root] = with_cancel(background());
    auto [child, cancel] = with_timeout(root, 1h);
    EXPECT_EQ(test::timers_in_heaps(), 1u);
    cancel();
    EXPECT_EQ(child.err(), canceled);
    EXPECT_EQ(test::timers_in_heaps(), 0u);
    auto [other, cancel_other] = with_timeout(root, 1h);
    cancel_root();
    EXPECT_EQ(other.err(), canceled);
    EXPECT_EQ(test::timers_in_heaps(), 0u);
  });
}

TEST(context_deadline, keeps_no_timer_once_the_handles_are_gone) {
  run([] {
    {
      auto [ctx, cancel] = with_timeout(background(), 1h);
      EXPECT_EQ(test::timers_in_heaps(), 1u);
    }
    EXPECT_EQ(test::timers_in_heaps(), 0u);
  });
}

TEST(context_deadline, that_is_the_parents_costs_no_timer) {
  run([] {
    auto [root, cancel_root] = with_timeout(background(), 1h);
    auto [child, cancel] = with_timeout(root, 2h);
    EXPECT_EQ(test::timers_in_heaps(), 1u);
  });
}

TEST(context_deadline, races_with_cancel_and_handles_that_go) {
  test::no_counted_left check;
  for (int procs : {1, 4}) {
    run({.max_procs = procs}, [] {
      long before = test::counted::alive();
      for (int i = 0; i < test::scaled(3000); ++i) {
        auto [ctx, cancel] =
            with_timeout(with_value<counted_key>(background(), test::counted(1)), 1us * (i % 40));
        context child = with_cancel(ctx).ctx;
        if (i % 2 == 0) test::compute_for(1us * (i % 43));
        if (i % 3 == 0) runnel::yield();
        if (i % 5 == 0) continue;
        cancel();
        std::error_code first = ctx.err();
        ASSERT_TRUE(first == canceled || first == exceeded);
        if (i % 7 == 0) runnel::yield();
        ASSERT_EQ(ctx.err(), first);
      }
      EXPECT_TRUE(test::eventually([=] { return test::counted::alive() == before; }));
      EXPECT_TRUE(test::eventually([] { return test::timers_in_heaps() == 0; }));
    });
  }
}

TEST(context_deadline, wakes_plain_threads) {
  run({.max_procs = 1}, [] {
    auto [ctx, cancel] = with_timeout(background(), 2ms);
    std::atomic<bool> woken{false};
    std::thread plain([&, ctx = ctx] {
      ctx.done().recv();
      woken = true;
    });
    EXPECT_TRUE(test::compute_until([&] { return woken.load(); }));
    plain.join();
  });
}

TEST(context_deadline, of_many_contexts_all_pass) {
  run({.max_procs = 4}, [] {
    std::vector<context> all;
    auto begin = test::clock::now();
    for (int i = 0; i < test::scaled(10'000); ++i) {
      all.push_back(with_deadline(background(), begin + 1us * (i % 5000)).ctx);
    }
    for (auto& ctx : all) EXPECT_FALSE(ctx.done().recv());
    EXPECT_EQ(all.back().err(), exceeded);
    EXPECT_EQ(test::timers_in_heaps(), 0u);
  });
}

TEST(context_deadline, passes_for_those_who_hold_the_channel_alone) {
  run([] {
    auto done = with_timeout(background(), 2ms).ctx.done();
    EXPECT_EQ(done.recv_for(5s), std::unexpected(runnel::chan_errc::closed));
  });
}

}  // namespace
