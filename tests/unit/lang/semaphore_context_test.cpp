// semaphore::acquire with a context.

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "runnel/runnel.h"
#include "runnel/sync/semaphore.h"
#include "support/scale.h"
#include "support/wait.h"
#include "support/waiting.h"

namespace {

using namespace std::chrono_literals;
using runnel::background;
using runnel::context;
using runnel::context_errc;
using runnel::run;
using runnel::semaphore;
using runnel::with_cancel;
using runnel::with_timeout;

const std::error_code canceled = context_errc::canceled;
const std::error_code exceeded = context_errc::deadline_exceeded;

TEST(semaphore_context, takes_what_is_free) {
  auto [ctx, cancel] = with_cancel(background());
  semaphore s(3);
  EXPECT_FALSE(s.acquire(ctx, 2));
  EXPECT_FALSE(s.acquire(background()));
  EXPECT_FALSE(s.try_acquire());
  s.release(3);
}

TEST(semaphore_context, takes_nothing_when_the_context_has_ended_before) {
  auto [ctx, cancel] = with_cancel(background());
  cancel();
  semaphore s(2);
  EXPECT_EQ(s.acquire(ctx), canceled);
  EXPECT_EQ(s.acquire(ctx, 3), canceled);
  EXPECT_EQ(s.acquire(ctx, 0), canceled);
  EXPECT_TRUE(s.try_acquire(2));
}

TEST(semaphore_context, waits_for_a_release) {
  run({.max_procs = 2}, [] {
    auto [ctx, cancel] = with_cancel(background());
    semaphore s(2);
    s.acquire(2);
    test::waiting_goroutines others;
    others.go([&, &ctx = ctx] { EXPECT_FALSE(s.acquire(ctx, 2)); });
    s.release(1);
    s.release(1);
    others.wait();
    EXPECT_FALSE(s.try_acquire());
    s.release(2);
  });
}

TEST(semaphore_context, gives_up_when_the_context_is_cancelled) {
  run({.max_procs = 2}, [] {
    auto [ctx, cancel] = with_cancel(background());
    semaphore s(2);
    s.acquire(1);
    test::waiting_goroutines others;
    others.go([&, &ctx = ctx] { EXPECT_EQ(s.acquire(ctx, 2), canceled); });
    cancel();
    others.wait();
    EXPECT_TRUE(s.try_acquire(1));
    s.release(2);
    EXPECT_TRUE(s.try_acquire(2));
  });
}

TEST(semaphore_context, gives_up_when_the_deadline_passes) {
  run([] {
    semaphore s(1);
    s.acquire();
    EXPECT_EQ(s.acquire(with_timeout(background(), 2ms).ctx), exceeded);
    auto [ctx, cancel] = with_timeout(background(), 2ms);
    EXPECT_EQ(s.acquire(with_cancel(ctx).ctx), exceeded);
    s.release();
    EXPECT_TRUE(s.try_acquire());
  });
}

TEST(semaphore_context, waits_for_the_end_of_the_context_if_asked_for_more_than_the_capacity) {
  run([] {
    auto [ctx, cancel] = with_cancel(background());
    semaphore s(2);
    test::waiting_goroutines others;
    others.go([&, &ctx = ctx] { EXPECT_EQ(s.acquire(ctx, 3), canceled); });
    // In nobody's way.
    EXPECT_TRUE(s.try_acquire(2));
    s.release(2);
    cancel();
    others.wait();
  });
}

TEST(semaphore_context, works_on_plain_threads) {
  run({.max_procs = 1}, [] {
    semaphore s(1);
    s.acquire();
    auto [ctx, cancel] = with_cancel(background());
    std::thread gives_up([&, &ctx = ctx] {
      EXPECT_EQ(s.acquire(ctx), canceled);
      EXPECT_EQ(s.acquire(with_timeout(background(), 1ms).ctx), exceeded);
    });
    cancel();
    runnel::blocking([&] { gives_up.join(); });
    std::thread takes([&] { EXPECT_FALSE(s.acquire(with_timeout(background(), 1h).ctx)); });
    s.release();
    runnel::blocking([&] { takes.join(); });
    EXPECT_FALSE(s.try_acquire());
  });
}

TEST(semaphore_context, serves_in_order_with_those_who_gave_up_in_between) {
  run({.max_procs = 1}, [] {
    semaphore s(1);
    s.acquire();
    std::vector<int> order;
    auto [some, cancel_some] = with_cancel(background());
    auto [rest, cancel_rest] = with_cancel(background());
    test::waiting_goroutines others;
    for (int i = 0; i < 9; ++i) {
      others.go([&, i, ctx = i % 3 == 1 ? some : rest] {
        if (s.acquire(ctx)) return;
        order.push_back(i);
        s.release();
      });
    }
    cancel_some();
    s.release();
    others.wait();
    EXPECT_EQ(order, (std::vector{0, 2, 3, 5, 6, 8}));
  });
}

TEST(semaphore_context, lets_those_behind_through_when_the_first_gives_up) {
  run({.max_procs = 2}, [] {
    semaphore s(2);
    s.acquire(1);
    auto [ctx, cancel] = with_cancel(background());
    test::waiting_goroutines others;
    others.go([&, &ctx = ctx] { EXPECT_EQ(s.acquire(ctx, 2), canceled); });
    others.go([&] { EXPECT_FALSE(s.acquire(with_cancel(background()).ctx)); });
    cancel();
    others.wait();
    EXPECT_FALSE(s.try_acquire());
  });
}

TEST(semaphore_context, neither_loses_nor_doubles_a_unit_when_release_and_cancellation_race) {
  for (int procs : {1, 4}) {
    run({.max_procs = procs}, [] {
      for (int i = 0; i < test::scaled(3000); ++i) {
        semaphore s(1);
        s.acquire();
        auto [ctx, cancel] = with_cancel(background());
        std::error_code answer;
        runnel::wait_group wg;
        wg.go([&, &ctx = ctx] { answer = s.acquire(ctx); });
        if (i % 2 == 0) runnel::yield();
        wg.go([&cancel = cancel] { cancel(); });
        wg.go([&] { s.release(); });
        wg.wait();
        ASSERT_TRUE(!answer || answer == canceled);
        ASSERT_EQ(s.try_acquire(), bool(answer));
      }
    });
  }
}

TEST(semaphore_context, holds_its_capacity_under_many_who_give_up) {
  for (int procs : {1, 4}) {
    run({.max_procs = procs}, [] {
      semaphore s(3);
      std::atomic<int> inside{0}, too_many{0}, got{0}, missed{0};
      auto work = [&](int who, int count) {
        for (int i = 0; i < count; ++i) {
          std::size_t n = 1 + static_cast<std::size_t>(i + who) % 3;
          auto [ctx, cancel] = with_timeout(background(), 1us * ((i + who) % 50));
          if (s.acquire(ctx, n)) {
            ++missed;
            continue;
          }
          too_many += inside.fetch_add(static_cast<int>(n)) + static_cast<int>(n) > 3;
          test::compute_for(1us * (i % 10));
          inside -= static_cast<int>(n);
          s.release(n);
          ++got;
        }
      };
      runnel::wait_group wg;
      for (int k = 0; k < 6; ++k) wg.go([&, k] { work(k, test::scaled(1000)); });
      std::thread plain(work, 7, test::scaled(1000));
      wg.wait();
      runnel::blocking([&] { plain.join(); });
      EXPECT_EQ(too_many, 0);
      EXPECT_GT(got, 0);
      EXPECT_TRUE(s.try_acquire(3));
    });
  }
}

TEST(semaphore_context, may_be_destroyed_by_one_who_gave_up) {
  run({.max_procs = 4}, [] {
    for (int i = 0; i < test::scaled(2000); ++i) {
      auto s = std::make_unique<semaphore>(1);
      s->acquire();
      auto [ctx, cancel] = with_cancel(background());
      runnel::go([cancel = cancel] { cancel(); });
      if (i % 2 == 0) runnel::yield();
      ASSERT_EQ(s->acquire(ctx), canceled);
    }
  });
}

TEST(semaphore_context, leaves_nothing_in_a_context_that_goes_on) {
  run([] {
    semaphore s(1);
    {
      auto [ctx, cancel] = with_cancel(background());
      for (int i = 0; i < 100; ++i) {
        s.acquire();
        runnel::go([&] { s.release(); });
        EXPECT_FALSE(s.acquire(ctx));
        s.release();
      }
      cancel();
    }
    EXPECT_TRUE(s.try_acquire());
  });
}

TEST(semaphore_context, drops_those_of_an_ended_run) {
  semaphore s(1);
  s.acquire();
  auto [ctx, cancel] = with_cancel(background());
  run({.max_procs = 1}, [&, &ctx = ctx] {
    runnel::go([&, ctx] { (void)s.acquire(ctx); });
    for (int i = 0; i < 10; ++i) runnel::yield();
  });
  cancel();
  s.release();
  EXPECT_TRUE(s.try_acquire());
}

}  // namespace
