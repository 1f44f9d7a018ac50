// The documentation of golang.org/x/sync/errgroup.

#include <runnel/context.h>
#include <runnel/select.h>
#include <runnel/sync.h>

#include <stdexcept>
#include <system_error>

#include "programs/conformance.h"

namespace {

using conformance::background, conformance::let_others_run, conformance::times;
using runnel::context, runnel::context_errc, runnel::errgroup, runnel::wait_group;

bool done(const context& ctx) {
  return runnel::select(runnel::recv(ctx.done()), runnel::otherwise) == 0;
}

const std::error_code first_error = std::make_error_code(std::errc::io_error);
const std::error_code second_error = std::make_error_code(std::errc::permission_denied);

CONFORMANCE(x_errgroup);

// Group: a zero group is valid; Go calls the function in a new goroutine.
TEST_P(x_errgroup, calls_functions_in_new_goroutines) {
  run([] {
    errgroup g;
    std::atomic<int> calls{0}, here{0};
    auto me = runnel::goroutine_id();
    for (int i = 0; i < 10; ++i) {
      g.go([&] {
        ++calls;
        here += runnel::goroutine_id() == me;
      });
    }
    EXPECT_FALSE(g.wait());
    EXPECT_EQ(calls, 10);
    EXPECT_EQ(here, 0);
  });
}

// Group.Wait: blocks until all calls of functions have returned, also after an error.
TEST_P(x_errgroup, waits_until_all_functions_have_returned) {
  run([] {
    errgroup g;
    wait_group gate;
    gate.add(1);
    g.go([] { return first_error; });
    g.go([&] {
      gate.wait();
      return std::error_code();
    });
    background waiting([&] { EXPECT_EQ(g.wait(), first_error); });
    EXPECT_TRUE(waiting.stays_blocked());
    gate.done();
    EXPECT_TRUE(waiting.ends());
  });
}

// Group.Wait: returns the first error, if there was one.
TEST_P(x_errgroup, returns_the_first_error) {
  run([] {
    errgroup g;
    g.go([] { return std::error_code(); });
    context ctx = runnel::background();
    errgroup with(runnel::background(), ctx);
    with.go([] { return first_error; });
    with.go([&] {
      ctx.done().recv();  // after the first
      return second_error;
    });
    EXPECT_FALSE(g.wait());
    EXPECT_EQ(with.wait(), first_error);
  });
}

// WithContext: the derived context is canceled the first time that a function returns an error.
TEST_P(x_errgroup, cancels_its_context_at_the_first_error) {
  run([] {
    context ctx = runnel::background();
    errgroup g(runnel::background(), ctx);
    wait_group gate;
    gate.add(1);
    std::atomic<bool> seen{false};
    g.go([&] {
      ctx.done().recv();
      seen = true;
    });
    g.go([&] {
      gate.wait();
      return first_error;
    });
    let_others_run();
    EXPECT_FALSE(done(ctx));
    gate.done();
    EXPECT_EQ(g.wait(), first_error);
    EXPECT_TRUE(seen);
    EXPECT_EQ(ctx.err(), context_errc::canceled);
  });
}

// WithContext: or the first time that Wait returns, whichever happens first.
TEST_P(x_errgroup, cancels_its_context_when_wait_returns) {
  run([] {
    context ctx = runnel::background();
    errgroup g(runnel::background(), ctx);
    g.go([] {});
    EXPECT_FALSE(done(ctx));
    EXPECT_FALSE(g.wait());
    EXPECT_TRUE(done(ctx));
  });
}

// WithContext: it is derived from the one given.
TEST_P(x_errgroup, derives_its_context) {
  run([] {
    auto [parent, cancel] = runnel::with_cancel(runnel::background());
    context ctx = runnel::background();
    errgroup g(parent, ctx);
    g.go([&] { ctx.done().recv(); });
    cancel();
    EXPECT_FALSE(g.wait());
    EXPECT_FALSE(done(runnel::background()));
  });
}

// Group: one without a context does not cancel anything on an error: all functions run.
TEST_P(x_errgroup, without_a_context_runs_all_functions_after_an_error) {
  run([] {
    errgroup g;
    std::atomic<int> calls{0};
    for (int i = 0; i < 10; ++i) {
      g.go([&] {
        ++calls;
        return first_error;
      });
    }
    EXPECT_EQ(g.wait(), first_error);
    EXPECT_EQ(calls, 10);
  });
}

// Group.SetLimit: limits the active goroutines of the group; Go blocks until it can add one.
TEST_P(x_errgroup, limits_active_goroutines_and_blocks_go) {
  run([] {
    errgroup g;
    g.set_limit(2);
    std::atomic<int> active{0}, most{0};
    for (int i = 0; i < times(500); ++i) {
      g.go([&] {
        int now = ++active, seen = most;
        while (now > seen && !most.compare_exchange_weak(seen, now)) {
        }
        runnel::yield();
        --active;
      });
    }
    EXPECT_FALSE(g.wait());
    EXPECT_LE(most, 2);
    errgroup full;
    full.set_limit(1);
    wait_group gate;
    gate.add(1);
    full.go([&] { gate.wait(); });
    background adding([&] { full.go([] {}); });
    EXPECT_TRUE(adding.stays_blocked());
    gate.done();
    EXPECT_TRUE(adding.ends());
    EXPECT_FALSE(full.wait());
  });
}

// Group.TryGo: calls the function only if the number of active goroutines is below the limit; tells whether.
TEST_P(x_errgroup, try_go_tells_whether_it_started_a_goroutine) {
  run([] {
    errgroup g;
    g.set_limit(2);
    wait_group gate;
    gate.add(1);
    std::atomic<int> calls{0};
    auto f = [&] {
      ++calls;
      gate.wait();
    };
    EXPECT_TRUE(g.try_go(f));
    EXPECT_TRUE(g.try_go(f));
    EXPECT_FALSE(g.try_go(f));
    gate.done();
    EXPECT_FALSE(g.wait());
    EXPECT_EQ(calls, 2);
    EXPECT_TRUE(g.try_go(f));
    EXPECT_FALSE(g.wait());
  });
}

// Group.SetLimit: a negative limit is none.
TEST_P(x_errgroup, has_no_limit_if_it_is_negative) {
  run([] {
    errgroup g;
    g.set_limit(1);
    g.set_limit(-1);
    wait_group gate;
    gate.add(1);
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(g.try_go([&] { gate.wait(); }));
    gate.done();
    EXPECT_FALSE(g.wait());
  });
}

// Group.SetLimit: a limit of zero keeps any new goroutine from being added.
TEST_P(x_errgroup, adds_nothing_if_the_limit_is_zero) {
  run([] {
    errgroup g;
    g.set_limit(0);
    EXPECT_FALSE(g.try_go([] { ADD_FAILURE(); }));
    EXPECT_FALSE(g.wait());
  });
}

// Group.Go: a panic of a function comes out of Wait.
TEST_P(x_errgroup, lets_a_panic_come_out_of_wait) {
  run([] {
    context ctx = runnel::background();
    errgroup g(runnel::background(), ctx);
    std::atomic<bool> ended{false};
    g.go([&] {
      ctx.done().recv();
      ended = true;
    });
    g.go([] { throw std::runtime_error("in the group"); });
    try {
      (void)g.wait();
      ADD_FAILURE();
    } catch (const std::runtime_error& e) {
      EXPECT_STREQ(e.what(), "in the group");
    }
    EXPECT_TRUE(ended);  // after all of them
  });
}

}  // namespace
