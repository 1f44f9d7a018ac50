// connection_pool: limits, the line, health, and what it counts. Limits of time: connection_pool_time_test.cpp.

#include "runnel/connection_pool.h"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "runnel/runnel.h"
#include "support/connections.h"
#include "support/waiting.h"

namespace {

using namespace std::chrono_literals;
using runnel::background;
using runnel::connection_pool_errc;
using runnel::context;
using runnel::context_errc;
using runnel::run;
using test::connection;
using test::server;

using pool = runnel::connection_pool<connection>;
using handle = pool::handle;

TEST(connection_pool, opens_a_connection_and_uses_it_again) {
  run([] {
    server s;
    pool p({}, s.opener());
    int first = (*p.get())->id();
    EXPECT_EQ((*p.get())->id(), first);
    EXPECT_EQ(s.opened(), 1);
    EXPECT_EQ(s.alive(), 1);
  });
}

TEST(connection_pool, the_last_to_come_is_the_first_to_go) {
  run([] {
    server s;
    pool p({}, s.opener());
    auto a = p.get(), b = p.get();
    int last = (*a)->id();
    b->release();
    a->release();
    EXPECT_EQ((*p.get())->id(), last);
  });
}

TEST(connection_pool, keeps_no_more_idle_ones_than_it_may) {
  run([] {
    server s;
    pool p({.max_idle = 1}, s.opener());
    {
      auto a = p.get(), b = p.get(), c = p.get();
      EXPECT_EQ(p.stats().in_use, 3U);
    }
    EXPECT_EQ(s.alive(), 1);
    EXPECT_EQ(p.stats().idle, 1U);
    EXPECT_EQ(p.stats().open, 1U);
    EXPECT_EQ(p.stats().closed_max_idle, 2U);
  });
}

TEST(connection_pool, keeps_none_idle_if_it_may_not) {
  run([] {
    server s;
    pool p({.max_idle = 0}, s.opener());
    p.get()->release();
    EXPECT_EQ(s.alive(), 0);
    EXPECT_EQ(p.stats().open, 0U);
  });
}

TEST(connection_pool, those_who_wait_are_served_in_line) {
  run({.max_procs = 2}, [] {
    server s;
    pool p({.max_open = 1}, s.opener());
    auto only = p.get();
    std::vector<int> served;  // by who has the connection
    test::waiting_goroutines others;
    for (int i = 0; i < 5; ++i) {
      others.go([&, i] {
        auto c = p.get();
        served.push_back(i);
      });
      ASSERT_EQ(p.stats().waiting, static_cast<std::size_t>(i) + 1);
    }
    only->release();
    others.wait();
    EXPECT_EQ(served, (std::vector{0, 1, 2, 3, 4}));
    EXPECT_EQ(s.opened(), 1);
    auto stats = p.stats();
    EXPECT_EQ(stats.wait_count, 5U);
    EXPECT_EQ(stats.waiting, 0U);
    EXPECT_GT(stats.wait_duration, 0ns);
  });
}

TEST(connection_pool, who_gives_up_leaves_the_line) {
  run({.max_procs = 2}, [] {
    server s;
    pool p({.max_open = 1}, s.opener());
    auto only = p.get();
    auto [ctx, cancel] = runnel::with_cancel(background());
    test::waiting_goroutines first, second;
    first.go([&, &ctx = ctx] { EXPECT_EQ(p.get(ctx).error(), context_errc::canceled); });
    second.go([&] { EXPECT_TRUE(p.get()); });
    cancel();
    first.wait();
    EXPECT_EQ(p.stats().waiting, 1U);
    only->release();
    second.wait();
    EXPECT_EQ(p.stats().idle, 1U);
  });
}

TEST(connection_pool, a_deadline_ends_the_wait) {
  run([] {
    server s;
    pool p({.max_open = 1}, s.opener());
    auto only = p.get();
    auto [ctx, cancel] = runnel::with_timeout(background(), 1ms);
    EXPECT_EQ(p.get(ctx).error(), context_errc::deadline_exceeded);
  });
}

TEST(connection_pool, a_context_that_has_ended_gets_nothing) {
  run([] {
    server s;
    pool p({}, s.opener());
    auto [ctx, cancel] = runnel::with_cancel(background());
    cancel();
    EXPECT_EQ(p.get(ctx).error(), context_errc::canceled);
    EXPECT_EQ(s.opened(), 0);
  });
}

// With one P, the waiter does not run between the two: it is served and cancelled when it does.
TEST(connection_pool, what_comes_to_one_whose_context_has_ended_goes_on_to_the_next) {
  run({.max_procs = 1}, [] {
    for (int round = 0; round < 50; ++round) {
      for (bool broken : {false, true}) {
        server s;
        pool p({.max_open = 1}, s.opener());
        auto only = p.get();
        auto [ctx, cancel] = runnel::with_cancel(background());
        test::waiting_goroutines first, second;
        first.go([&, &ctx = ctx] {
          auto c = p.get(ctx);
          EXPECT_TRUE(c || c.error() == context_errc::canceled);
        });
        second.go([&] { EXPECT_TRUE(p.get()); });
        if (broken) {
          only->discard();
        } else {
          only->release();
        }
        cancel();
        ASSERT_TRUE(first.end_soon());
        ASSERT_TRUE(second.end_soon());
        EXPECT_EQ(p.stats().open, p.stats().idle);
        EXPECT_EQ(static_cast<std::size_t>(s.alive()), p.stats().open);
      }
    }
  });
}

TEST(connection_pool, a_broken_one_is_closed_and_its_place_goes_to_the_first_in_line) {
  run({.max_procs = 2}, [] {
    server s;
    pool p({.max_open = 1}, s.opener());
    auto only = p.get();
    int broken = (*only)->id();
    test::waiting_goroutines other;
    other.go([&] {
      auto c = p.get();
      EXPECT_NE((*c)->id(), broken);
      EXPECT_EQ(s.alive(), 1);
    });
    only->discard();
    EXPECT_FALSE(*only);
    other.wait();
    EXPECT_EQ(p.stats().discarded, 1U);
    EXPECT_EQ(s.opened(), 2);
  });
}

TEST(connection_pool, never_has_more_than_it_may_even_while_one_is_being_closed) {
  run({.max_procs = 2}, [] {
    server s;
    pool p({.max_open = 1}, s.opener());
    auto only = p.get();
    s.hold_closes();
    test::waiting_goroutines closing, next;
    closing.go([&] { only->discard(); });
    next.go([&] { EXPECT_TRUE(p.get()); });
    EXPECT_EQ(p.stats().waiting, 1U);
    s.let_close();
    closing.wait();
    next.wait();
    EXPECT_EQ(s.most_alive(), 1);
  });
}

TEST(connection_pool, opening_and_closing_hold_up_nobody) {
  run({.max_procs = 2}, [] {
    server s;
    pool p({.max_open = 3}, s.opener());
    auto first = p.get(), second = p.get();
    s.hold_opens();
    s.hold_closes();
    test::waiting_goroutines opening, closing;
    opening.go([&] { EXPECT_TRUE(p.get()); });
    closing.go([&] { first->discard(); });
    EXPECT_EQ(p.stats().open, 3U);
    second->release();
    EXPECT_TRUE(p.get());
    s.let_open();
    s.let_close();
    opening.wait();
    closing.wait();
  });
}

TEST(connection_pool, an_error_of_opening_is_that_of_who_tried_and_the_next_has_a_try) {
  run({.max_procs = 2}, [] {
    server s;
    pool p({.max_open = 1}, s.opener());
    s.fail_opens(2);
    s.hold_opens();
    test::waiting_goroutines first, second, third;
    const auto refused = std::errc::connection_refused;
    first.go([&] { EXPECT_EQ(p.get().error(), refused); });
    second.go([&] { EXPECT_EQ(p.get().error(), refused); });
    third.go([&] { EXPECT_TRUE(p.get()); });
    EXPECT_EQ(p.stats().waiting, 2U);
    s.let_open();
    first.wait();
    second.wait();
    third.wait();
    EXPECT_EQ(p.stats().failed_opens, 2U);
    EXPECT_EQ(p.stats().open, 1U);
  });
}

TEST(connection_pool, an_exception_of_opening_leaves_the_place_free) {
  run([] {
    bool fails = true;
    pool p({.max_open = 1}, [&]() -> runnel::result<connection> {
      if (fails) throw std::runtime_error("no");
      return connection();
    });
    EXPECT_THROW((void)p.get(), std::runtime_error);
    EXPECT_EQ(p.stats().open, 0U);
    EXPECT_EQ(p.stats().failed_opens, 1U);
    fails = false;
    EXPECT_TRUE(p.get());
  });
}

TEST(connection_pool, opening_has_the_context) {
  run([] {
    auto [ctx, cancel] = runnel::with_cancel(background());
    pool p({}, [&, &ctx = ctx](const context& seen) -> runnel::result<connection> {
      EXPECT_EQ(seen, ctx);
      return connection();
    });
    EXPECT_TRUE(p.get(ctx));
  });
}

TEST(connection_pool, an_unhealthy_one_is_replaced) {
  run([] {
    server s;
    pool p({.max_open = 1}, s.opener(), [](connection& c) { return c.id() != 1; });
    EXPECT_EQ((*p.get())->id(), 1);  // a new one is not asked
    auto c = p.get();
    EXPECT_EQ((*c)->id(), 2);
    EXPECT_EQ(s.alive(), 1);
    EXPECT_EQ(p.stats().closed_unhealthy, 1U);
    c->release();
    EXPECT_EQ((*p.get())->id(), 2);
  });
}

TEST(connection_pool, one_that_is_handed_over_is_asked_for_its_health_too) {
  run({.max_procs = 2}, [] {
    server s;
    pool p({.max_open = 1}, s.opener(), [](connection& c) { return c.id() != 1; });
    auto only = p.get();
    test::waiting_goroutines other;
    other.go([&] { EXPECT_EQ((*p.get())->id(), 2); });
    only->release();
    other.wait();
  });
}

TEST(connection_pool, an_exception_of_the_check_closes_the_connection) {
  run([] {
    server s;
    pool p({.max_open = 1}, s.opener(), [](connection& c) -> bool {
      if (c.id() == 1) throw std::runtime_error("no");
      return true;
    });
    p.get()->release();
    EXPECT_THROW((void)p.get(), std::runtime_error);
    EXPECT_EQ(s.alive(), 0);
    EXPECT_EQ((*p.get())->id(), 2);
  });
}

TEST(connection_pool, close_sends_those_who_wait_away_and_closes_the_others_when_they_come_back) {
  run({.max_procs = 2}, [] {
    server s;
    pool p({.max_open = 2}, s.opener());
    auto used = p.get();
    auto idle = p.get();
    test::waiting_goroutines other;
    other.go([&] { EXPECT_EQ(p.get().error(), connection_pool_errc::closed); });
    p.close();
    other.wait();
    EXPECT_EQ(p.get().error(), connection_pool_errc::closed);
    EXPECT_EQ(p.get().error().message(), "connection pool is closed");
    EXPECT_EQ(s.alive(), 2);
    used->release();
    idle->release();
    EXPECT_EQ(s.alive(), 0);
    p.close();
    EXPECT_EQ(p.stats().open, 0U);
  });
}

TEST(connection_pool, close_closes_the_idle_ones) {
  run([] {
    server s;
    pool p({}, s.opener());
    p.get()->release();
    p.close();
    EXPECT_EQ(s.alive(), 0);
  });
}

TEST(connection_pool, what_is_opened_while_it_closes_is_closed) {
  run({.max_procs = 2}, [] {
    server s;
    pool p({}, s.opener());
    s.hold_opens();
    test::waiting_goroutines other;
    other.go([&] { EXPECT_EQ(p.get().error(), connection_pool_errc::closed); });
    p.close();
    s.let_open();
    other.wait();
    EXPECT_EQ(s.alive(), 0);
  });
}

TEST(connection_pool, handles_and_waiters_may_outlive_it) {
  run({.max_procs = 2}, [] {
    server s;
    auto p = std::make_unique<pool>(runnel::connection_pool_options{.max_open = 1}, s.opener());
    handle late = std::move(*p->get());
    test::waiting_goroutines other;
    other.go([&] { EXPECT_FALSE(p->get()); });
    EXPECT_EQ(p->stats().waiting, 1U);
    p.reset();
    other.wait();
    EXPECT_EQ(s.alive(), 1);
    late.release();
    EXPECT_EQ(s.alive(), 0);
  });
}

TEST(connection_pool, a_handle_that_is_assigned_gives_its_old_one_back) {
  run([] {
    server s;
    pool p({}, s.opener());
    handle a = std::move(*p.get());
    a = std::move(*p.get());
    EXPECT_EQ(a->id(), 2);
    EXPECT_EQ(p.stats().idle, 1U);
    a = handle();
    EXPECT_FALSE(a);
    EXPECT_EQ(p.stats().idle, 2U);
  });
}

TEST(connection_pool, plain_threads_wait_in_the_same_line) {
  run({.max_procs = 2}, [] {
    server s;
    pool p({.max_open = 1}, s.opener());
    auto only = p.get();
    int seen = 0;
    std::thread plain([&] { seen = (*p.get())->id(); });
    ASSERT_TRUE(test::eventually([&] { return p.stats().waiting == 1; }));
    only->release();
    runnel::blocking([&] { plain.join(); });
    EXPECT_EQ(seen, 1);
  });
}

}  // namespace
