// Functions that are called after the cancellation of a context.

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "runnel/runnel.h"
#include "support/counted.h"
#include "support/scale.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::after_func;
using runnel::background;
using runnel::context;
using runnel::run;
using runnel::stop_func;
using runnel::with_cancel;

TEST(context_after_func, calls_f_on_a_goroutine_of_its_own_after_the_cancellation) {
  run([] {
    auto [ctx, cancel] = with_cancel(background());
    auto called = runnel::make_chan<std::uint64_t>();
    std::atomic<bool> is_called{false};
    auto stop = after_func(ctx, [&, called] {
      is_called = true;
      called.send(runnel::goroutine_id());
    });
    for (int i = 0; i < 10; ++i) runnel::yield();
    EXPECT_FALSE(is_called);
    cancel();
    EXPECT_NE(called.recv(), runnel::goroutine_id());
    EXPECT_FALSE(stop());
  });
}

TEST(context_after_func, calls_f_at_once_if_the_context_is_cancelled_already) {
  run([] {
    auto [ctx, cancel] = with_cancel(background());
    cancel();
    auto called = runnel::make_chan<int>();
    auto stop = after_func(ctx, [=] { called.send(1); });
    EXPECT_FALSE(stop());
    EXPECT_EQ(called.recv(), 1);
  });
}

TEST(context_after_func, calls_f_when_the_parent_is_cancelled_or_a_deadline_passes) {
  run([] {
    auto called = runnel::make_chan<int>();
    auto [root, cancel] = with_cancel(background());
    context child = with_cancel(root).ctx;
    auto a = after_func(child, [=] { called.send(1); });
    cancel();
    EXPECT_EQ(called.recv(), 1);
    context timed = with_timeout(background(), 1ms).ctx;
    auto b = after_func(timed, [=] { called.send(2); });
    EXPECT_EQ(called.recv(), 2);
  });
}

TEST(context_after_func, stopped_in_time_never_calls_f) {
  run([] {
    auto [ctx, cancel] = with_cancel(background());
    auto stop = after_func(ctx, [] { ADD_FAILURE(); });
    EXPECT_TRUE(stop());
    EXPECT_FALSE(stop());
    cancel();
    for (int i = 0; i < 10; ++i) runnel::yield();
    EXPECT_FALSE(stop());
  });
}

TEST(context_after_func, of_a_context_that_is_never_cancelled_can_be_stopped_once) {
  auto stop = after_func(background(), [] { ADD_FAILURE(); });
  EXPECT_TRUE(stop());
  EXPECT_FALSE(stop());
  EXPECT_FALSE(stop_func()());
}

TEST(context_after_func, is_stopped_by_any_copy_of_its_handle) {
  auto [ctx, cancel] = with_cancel(background());
  auto stop = after_func(ctx, [] { ADD_FAILURE(); });
  stop_func copy = stop;
  stop_func moved = std::move(stop);
  copy = moved;
  EXPECT_TRUE(copy());
  EXPECT_FALSE(moved());
  cancel();
}

TEST(context_after_func, calls_f_also_when_the_handle_of_the_function_is_gone) {
  run([] {
    auto [ctx, cancel] = with_cancel(background());
    auto called = runnel::make_chan<int>();
    after_func(ctx, [=] { called.send(1); });
    cancel();
    EXPECT_EQ(called.recv(), 1);
  });
}

TEST(context_after_func, calls_f_also_when_the_handles_of_the_context_are_gone) {
  run([] {
    auto [root, cancel] = with_cancel(background());
    auto called = runnel::make_chan<int>();
    after_func(with_cancel(root).ctx, [=] { called.send(1); });
    cancel();
    EXPECT_EQ(called.recv_for(1s), 1);
    after_func(with_timeout(background(), 1ms).ctx, [=] { called.send(2); });
    EXPECT_EQ(called.recv_for(1s), 2);
  });
}

TEST(context_after_func, may_be_asked_for_many_times_on_one_context) {
  run({.max_procs = 4}, [] {
    auto [ctx, cancel] = with_cancel(background());
    std::atomic<int> calls{0};
    std::vector<stop_func> stops;
    const int n = test::alive(1000);
    for (int i = 0; i < n; ++i) stops.push_back(after_func(ctx, [&] { ++calls; }));
    int stopped = 0;
    for (std::size_t i = 0; i < stops.size(); i += 3) stopped += stops[i]();
    cancel();
    EXPECT_TRUE(test::eventually([&] { return calls == n - stopped; }));
    for (auto& stop : stops) EXPECT_FALSE(stop());
  });
}

TEST(context_after_func, destroys_what_f_has_captured) {
  test::no_counted_left check;
  run([] {
    long before = test::counted::alive();
    auto [ctx, cancel] = with_cancel(background());
    {
      auto stop = after_func(ctx, [c = test::counted(1)] {});
      stop();
    }
    EXPECT_EQ(test::counted::alive(), before);
    auto stop = after_func(ctx, [c = test::counted(1)] {});
    after_func(ctx, [c = test::counted(2)] {});
    EXPECT_EQ(test::counted::alive(), before + 2);
    cancel();
    // Also while the handle stays.
    EXPECT_TRUE(test::eventually([=] { return test::counted::alive() == before; }));
  });
}

TEST(context_after_func, destroys_what_f_has_captured_with_a_context_that_nobody_can_cancel) {
  test::no_counted_left check;
  after_func(background(), [c = test::counted(1)] {});
  after_func(with_cancel(background()).ctx, [c = test::counted(1)] {});
  EXPECT_EQ(test::counted::alive(), 0);
}

TEST(context_after_func, that_is_stopped_or_not_calls_f_never_or_once) {
  test::no_counted_left check;
  for (int procs : {1, 4}) {
    run({.max_procs = procs}, [] {
      for (int i = 0; i < test::scaled(2000); ++i) {
        auto [ctx, cancel] = with_cancel(background());
        auto calls = std::make_shared<std::atomic<int>>(0);
        auto stop = after_func(ctx, [calls, c = test::counted(1)] { *calls += c.value(); });
        runnel::wait_group wg;
        wg.go([&cancel = cancel] { cancel(); });
        std::atomic<int> stopped{0};
        wg.go([&] { stopped += stop(); });
        stopped += stop();
        wg.wait();
        ASSERT_LE(stopped, 1);
        if (stopped == 0) {
          ASSERT_TRUE(test::eventually([&] { return *calls == 1; }));
        } else {
          ASSERT_EQ(*calls, 0);
        }
      }
      EXPECT_TRUE(test::eventually([] { return test::counted::alive() == 0; }));
    });
  }
}

TEST(context_after_func, may_be_asked_for_while_the_context_is_cancelled) {
  run({.max_procs = 4}, [] {
    for (int i = 0; i < test::scaled(1000); ++i) {
      auto [ctx, cancel] = with_cancel(background());
      std::atomic<int> calls{0};
      runnel::wait_group wg;
      for (int k = 0; k < 3; ++k) wg.go([&, ctx = ctx] { after_func(ctx, [&] { ++calls; }); });
      wg.go([&cancel = cancel] { cancel(); });
      wg.wait();
      ASSERT_TRUE(test::eventually([&] { return calls == 3; }));
    }
  });
}

}  // namespace
