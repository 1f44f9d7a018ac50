// Contexts and std::stop_token, both ways.

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include "runnel/runnel.h"
#include "support/counted.h"
#include "support/scale.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::background;
using runnel::context;
using runnel::context_errc;
using runnel::run;
using runnel::with_cancel;
using runnel::with_stop_token;

const std::error_code canceled = context_errc::canceled;

struct counted_key {
  using type = test::counted;
};

TEST(context_stop_token, is_requested_to_stop_by_the_cancellation) {
  auto [ctx, cancel] = with_cancel(background());
  std::stop_token token = ctx.stop_token();
  EXPECT_TRUE(token.stop_possible());
  EXPECT_FALSE(token.stop_requested());
  int calls = 0;
  std::stop_callback on_stop(token, [&] { ++calls; });
  cancel();
  EXPECT_TRUE(token.stop_requested());
  EXPECT_EQ(calls, 1);
}

TEST(context_stop_token, of_a_cancelled_context_is_requested_to_stop_already) {
  auto [ctx, cancel] = with_cancel(background());
  cancel();
  EXPECT_TRUE(ctx.stop_token().stop_requested());
}

TEST(context_stop_token, is_always_the_same) {
  auto [ctx, cancel] = with_cancel(background());
  EXPECT_EQ(ctx.stop_token(), ctx.stop_token());
  EXPECT_NE(ctx.stop_token(), with_cancel(ctx).ctx.stop_token());
}

TEST(context_stop_token, of_a_child_is_requested_to_stop_with_the_parent) {
  auto [root, cancel] = with_cancel(background());
  context child = with_cancel(root).ctx;
  std::stop_token token = child.stop_token();
  cancel();
  EXPECT_TRUE(token.stop_requested());
}

TEST(context_stop_token, outlives_its_context) {
  std::stop_token token = with_cancel(background()).ctx.stop_token();
  EXPECT_FALSE(token.stop_requested());
}

TEST(context_stop_token, stops_a_thread_that_waits_with_it) {
  run([] {
    auto [ctx, cancel] = with_timeout(background(), 1ms);
    std::atomic<bool> stopped{false};
    std::thread plain([&, token = ctx.stop_token()] {
      while (!token.stop_requested()) std::this_thread::yield();
      stopped = true;
    });
    EXPECT_TRUE(test::eventually([&] { return stopped.load(); }));
    plain.join();
  });
}

TEST(context_stop_token, asked_for_by_many_while_the_context_is_cancelled) {
  run({.max_procs = 4}, [] {
    for (int i = 0; i < test::scaled(500); ++i) {
      auto [ctx, cancel] = with_cancel(background());
      std::vector<std::stop_token> seen(4);
      runnel::wait_group wg;
      for (auto& one : seen) wg.go([&, &ctx = ctx] { one = ctx.stop_token(); });
      wg.go([&cancel = cancel] { cancel(); });
      wg.wait();
      for (auto& one : seen) {
        ASSERT_EQ(one, seen[0]);
        ASSERT_TRUE(one.stop_requested());
      }
    }
  });
}

TEST(context_stop_token, cancels_a_context_made_with_it) {
  run([] {
    std::stop_source source;
    context ctx = with_stop_token(background(), source.get_token());
    context child = with_cancel(ctx).ctx;
    auto done = child.done();
    EXPECT_FALSE(ctx.err());
    source.request_stop();
    EXPECT_EQ(ctx.err(), canceled);
    EXPECT_EQ(child.err(), canceled);
    EXPECT_FALSE(done.recv());
  });
}

TEST(context_stop_token, requested_to_stop_before_cancels_from_the_beginning) {
  run([] {
    std::stop_source source;
    source.request_stop();
    context ctx = with_stop_token(background(), source.get_token());
    EXPECT_EQ(ctx.err(), canceled);
    EXPECT_FALSE(ctx.done().recv());
  });
}

TEST(context_stop_token, that_nobody_can_stop_does_no_harm) {
  auto [root, cancel] = with_cancel(background());
  context ctx = with_stop_token(root, std::stop_token());
  EXPECT_FALSE(ctx.err());
  cancel();
  EXPECT_TRUE(ctx.err());
}

TEST(context_stop_token, does_not_keep_the_parent_from_cancelling) {
  run([] {
    std::stop_source source;
    auto [root, cancel] = with_cancel(background());
    context ctx = with_stop_token(root, source.get_token());
    cancel();
    EXPECT_EQ(ctx.err(), canceled);
    source.request_stop();
  });
}

TEST(context_stop_token, keeps_no_context_whose_handles_are_gone) {
  test::no_counted_left check;
  std::stop_source source;
  for (int i = 0; i < 100; ++i) {
    context ctx = with_stop_token(with_value<counted_key>(background(), test::counted(1)),
                                  source.get_token());
  }
  EXPECT_EQ(test::counted::alive(), 0);
  source.request_stop();
}

TEST(context_stop_token, requested_to_stop_while_the_handles_go) {
  test::no_counted_left check;
  for (int procs : {1, 4}) {
    run({.max_procs = procs}, [] {
      for (int i = 0; i < test::scaled(1000); ++i) {
        std::stop_source source;
        std::optional<context> ctx = with_stop_token(
            with_value<counted_key>(background(), test::counted(1)), source.get_token());
        runnel::wait_group wg;
        wg.go([&] { source.request_stop(); });
        wg.go([&, child = with_cancel(*ctx).ctx] {});
        if (i % 2 == 0) runnel::yield();
        ctx.reset();
        wg.wait();
      }
      EXPECT_TRUE(test::eventually([] { return test::counted::alive() == 0; }));
    });
  }
}

TEST(context_stop_token, and_context_may_be_stopped_from_both_ends_at_once) {
  run({.max_procs = 4}, [] {
    for (int i = 0; i < test::scaled(1000); ++i) {
      std::stop_source source;
      auto [root, cancel] = with_cancel(background());
      context ctx;
      runnel::wait_group wg;
      wg.go([&] { source.request_stop(); });
      wg.go([&cancel = cancel] { cancel(); });
      ctx = with_stop_token(root, source.get_token());
      wg.wait();
      ASSERT_EQ(ctx.err(), canceled);
      ASSERT_FALSE(ctx.done().recv());
    }
  });
}

TEST(context_stop_token, requested_to_stop_by_a_plain_thread_without_a_run_leaves_nothing) {
  test::no_counted_left check;
  std::stop_source source;
  {
    context ctx = with_stop_token(with_value<counted_key>(background(), test::counted(1)),
                                  source.get_token());
    source.request_stop();
    EXPECT_EQ(ctx.err(), canceled);
  }
  run([] { EXPECT_TRUE(test::eventually([] { return test::counted::alive() == 0; })); });
}

}  // namespace
