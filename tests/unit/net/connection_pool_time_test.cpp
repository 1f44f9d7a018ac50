// connection_pool: how old connections may become.

#include <gtest/gtest.h>

#include "runnel/connection_pool.h"
#include "runnel/runnel.h"
#include "support/connections.h"
#include "support/wait.h"
#include "support/waiting.h"

namespace {

using namespace std::chrono_literals;
using runnel::run;
using test::connection;
using test::server;

using pool = runnel::connection_pool<connection>;

void pass(runnel::duration time) { runnel::sleep_until(test::clock::now() + time); }

TEST(connection_pool_time, one_past_its_lifetime_is_closed_when_it_is_given_back) {
  run([] {
    server s;
    pool p({.max_lifetime = 1ms}, s.opener());
    auto c = p.get();
    pass(1ms);
    EXPECT_EQ(s.alive(), 1);
    c->release();
    EXPECT_EQ(s.alive(), 0);
    EXPECT_EQ(p.stats().closed_max_lifetime, 1U);
  });
}

TEST(connection_pool_time, its_place_goes_to_the_first_in_line) {
  run({.max_procs = 2}, [] {
    server s;
    pool p({.max_open = 1, .max_lifetime = 1ms}, s.opener());
    auto c = p.get();
    pass(1ms);
    test::waiting_goroutines other;
    other.go([&] { EXPECT_EQ((*p.get())->id(), 2); });
    c->release();
    other.wait();
    EXPECT_EQ(s.most_alive(), 1);
  });
}

TEST(connection_pool_time, an_idle_one_is_closed_at_the_end_of_its_lifetime) {
  run([] {
    server s;
    pool p({.max_lifetime = 5ms}, s.opener());
    auto opened = test::clock::now();
    p.get()->release();
    EXPECT_TRUE(test::eventually([&] { return s.alive() == 0; }));
    EXPECT_GE(test::clock::now() - opened, 5ms);
    EXPECT_EQ(p.stats().closed_max_lifetime, 1U);
    EXPECT_EQ(p.stats().closed_max_idle_time, 0U);
  });
}

TEST(connection_pool_time, one_that_nobody_needs_is_closed_after_its_idle_time) {
  run([] {
    server s;
    pool p({.max_lifetime = 1h, .max_idle_time = 5ms}, s.opener());
    auto c = p.get();
    pass(5ms);
    EXPECT_EQ(s.alive(), 1);
    auto idle_since = test::clock::now();
    c->release();
    EXPECT_TRUE(test::eventually([&] { return s.alive() == 0; }));
    EXPECT_GE(test::clock::now() - idle_since, 5ms);
    EXPECT_EQ(p.stats().closed_max_idle_time, 1U);
    // It keeps its place until it has ended, on the timer's goroutine: another P may see the one before the other.
    EXPECT_TRUE(test::eventually([&] { return p.stats().open == 0; }));
  });
}

TEST(connection_pool_time, each_idle_one_has_its_own_time) {
  run([] {
    server s;
    pool p({.max_idle_time = 20ms}, s.opener());
    auto early = p.get(), late = p.get();
    early->release();
    pass(10ms);
    auto late_since = test::clock::now();
    late->release();
    ASSERT_TRUE(test::eventually([&] { return s.alive() == 0; }));
    EXPECT_GE(test::clock::now() - late_since, 20ms);
    EXPECT_EQ(p.stats().closed_max_idle_time, 2U);
  });
}

// Outside of run no timer fires.
TEST(connection_pool_time, what_is_too_old_is_not_given_away_even_if_nobody_has_closed_it) {
  server s;
  pool p({.max_open = 1, .max_idle_time = 1ms}, s.opener());
  p.get()->release();
  pass(1ms);
  EXPECT_EQ(s.alive(), 1);
  EXPECT_EQ((*p.get())->id(), 2);
  EXPECT_EQ(s.most_alive(), 1);
  EXPECT_EQ(p.stats().closed_max_idle_time, 1U);
}

TEST(connection_pool_time, without_limits_there_is_no_timer) {
  server s;
  pool p({.max_lifetime = runnel::duration::max()}, s.opener());
  p.get()->release();
  EXPECT_EQ((*p.get())->id(), 1);
}

}  // namespace
