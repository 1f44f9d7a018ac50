#include "runnel/sync/errgroup.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

#include "runnel/runnel.h"
#include "support/counted.h"
#include "support/scale.h"
#include "support/wait.h"
#include "support/waiting.h"

namespace {

using namespace std::chrono_literals;
using runnel::background;
using runnel::context;
using runnel::context_errc;
using runnel::errgroup;
using runnel::run;

const std::error_code io = std::make_error_code(std::errc::io_error);
const std::error_code busy = std::make_error_code(std::errc::device_or_resource_busy);

std::string thrown_by_wait(errgroup& group) {
  try {
    std::error_code code = group.wait();
    return code ? "code " + std::to_string(code.value()) : "none";
  } catch (const std::exception& e) {
    return e.what();
  }
}

std::string what(const std::exception_ptr& e) {
  if (e == nullptr) return "none";
  try {
    std::rethrow_exception(e);
  } catch (const std::exception& x) {
    return x.what();
  }
}

TEST(errgroup, waits_for_all_its_parts) {
  for (int procs : {1, 4}) {
    run({.max_procs = procs}, [] {
      errgroup group;
      std::atomic<int> ended{0};
      for (int i = 0; i < 100; ++i) {
        group.go([&, i] {
          if (i % 3 == 0) runnel::yield();
          ++ended;
        });
      }
      EXPECT_FALSE(group.wait());
      EXPECT_EQ(ended, 100);
    });
  }
}

TEST(errgroup, without_parts_returns_at_once) {
  errgroup group;
  EXPECT_FALSE(group.wait());
}

TEST(errgroup, may_be_used_again_after_wait) {
  run([] {
    errgroup group;
    for (int round = 0; round < 3; ++round) {
      int ended = 0;
      group.go([&] { ++ended; });
      EXPECT_FALSE(group.wait());
      EXPECT_EQ(ended, 1);
    }
  });
}

TEST(errgroup, returns_the_first_code_that_is_not_zero) {
  run({.max_procs = 1}, [] {
    errgroup group;
    auto next = runnel::make_chan<int>();
    group.go([] { return std::error_code(); });
    group.go([=] {
      next.recv();
      return busy;
    });
    group.go([=] {
      next.send(1);
      return io;
    });
    EXPECT_EQ(group.wait(), busy);
  });
}

TEST(errgroup, takes_parts_that_return_what_converts_to_a_code) {
  run([] {
    errgroup group;
    group.go([] { return context_errc::canceled; });
    EXPECT_EQ(group.wait(), context_errc::canceled);
  });
}

TEST(errgroup, rethrows_the_first_exception) {
  run([] {
    errgroup group;
    group.go([] { throw std::runtime_error("part"); });
    group.go([] {});
    EXPECT_EQ(thrown_by_wait(group), "part");
  });
}

TEST(errgroup, lets_a_panic_come_out_of_wait) {
  run([] {
    errgroup group;
    group.go([] { runnel::chan<int>().close(); });
    EXPECT_THROW(group.wait(), runnel::runtime_error);
  });
}

TEST(errgroup, reports_one_failure_when_all_fail_at_once) {
  run({.max_procs = 4}, [] {
    for (int round = 0; round < test::scaled(300); ++round) {
      context ctx;
      errgroup group(background(), ctx);
      for (int i = 0; i < 8; ++i) {
        group.go([i]() -> std::error_code {
          if (i % 2 == 0) throw std::runtime_error(std::to_string(i));
          return io;
        });
      }
      std::string reported = thrown_by_wait(group);
      if (reported == "code " + std::to_string(io.value())) {
        ASSERT_EQ(what(ctx.cause()), std::system_error(io).what());
      } else {
        ASSERT_EQ(what(ctx.cause()), reported);
      }
    }
  });
}

TEST(errgroup, cancels_its_context_at_the_first_failure) {
  run([] {
    context ctx;
    errgroup group(background(), ctx);
    std::atomic<int> stopped{0};
    for (int i = 0; i < 3; ++i) {
      group.go([&] {
        ctx.done().recv();
        ++stopped;
        return ctx.err();
      });
    }
    EXPECT_FALSE(ctx.err());
    group.go([] { return io; });
    EXPECT_EQ(group.wait(), io);
    EXPECT_EQ(stopped, 3);
    EXPECT_EQ(ctx.err(), context_errc::canceled);
    EXPECT_EQ(what(ctx.cause()), std::system_error(io).what());
  });
}

TEST(errgroup, gives_an_exception_as_the_cause_of_the_cancellation) {
  run([] {
    context ctx;
    errgroup group(background(), ctx);
    group.go([] { throw std::runtime_error("part"); });
    group.go([&] { ctx.done().recv(); });
    EXPECT_EQ(thrown_by_wait(group), "part");
    EXPECT_EQ(what(ctx.cause()), "part");
  });
}

TEST(errgroup, cancels_its_context_when_wait_returns) {
  run([] {
    context ctx;
    errgroup group(background(), ctx);
    group.go([] {});
    EXPECT_FALSE(ctx.err());
    EXPECT_FALSE(group.wait());
    EXPECT_EQ(ctx.err(), context_errc::canceled);
  });
}

TEST(errgroup, has_a_context_that_is_cancelled_with_its_parent) {
  run([] {
    auto [root, cancel] = with_cancel(background());
    context ctx;
    errgroup group(root, ctx);
    group.go([&] {
      ctx.done().recv();
      return ctx.err();
    });
    cancel();
    EXPECT_EQ(group.wait(), context_errc::canceled);
  });
}

TEST(errgroup, may_put_its_context_in_the_place_of_the_parent) {
  run([] {
    context ctx = with_cancel(background()).ctx;
    errgroup group(ctx, ctx);
    group.go([] { return io; });
    EXPECT_EQ(group.wait(), io);
    EXPECT_TRUE(ctx.err());
  });
}

TEST(errgroup, ends_a_part_that_calls_goexit_without_a_failure) {
  run([] {
    context ctx;
    errgroup group(background(), ctx);
    group.set_limit(1);
    group.go([] { runnel::goexit(); });
    group.go([] {});
    EXPECT_FALSE(group.wait());
  });
}

TEST(errgroup, runs_no_more_parts_at_a_time_than_its_limit) {
  for (int procs : {1, 4}) {
    run({.max_procs = procs}, [] {
      errgroup group;
      group.set_limit(3);
      std::atomic<int> active{0}, too_many{0}, ended{0};
      for (int i = 0; i < test::scaled(1000); ++i) {
        group.go([&, i] {
          too_many += ++active > 3;
          if (i % 2 == 0) runnel::yield();
          --active;
          ++ended;
        });
      }
      EXPECT_FALSE(group.wait());
      EXPECT_EQ(too_many, 0);
      EXPECT_EQ(ended, test::scaled(1000));
    });
  }
}

TEST(errgroup, starts_a_part_by_try_go_only_if_the_limit_allows_it) {
  run([] {
    errgroup group;
    group.set_limit(2);
    auto end = runnel::make_chan<int>();
    auto part = [=] { end.recv(); };
    EXPECT_TRUE(group.try_go(part));
    EXPECT_TRUE(group.try_go(part));
    EXPECT_FALSE(group.try_go([] { ADD_FAILURE(); }));
    end.send(1);
    EXPECT_TRUE(test::eventually([&] { return group.try_go(part); }));
    end.send(1);
    end.send(1);
    EXPECT_FALSE(group.wait());
  });
}

TEST(errgroup, waits_in_go_until_the_limit_allows_it) {
  run([] {
    errgroup group;
    group.set_limit(1);
    auto end = runnel::make_chan<int>();
    group.go([=] { end.recv(); });
    std::atomic<bool> started{false};
    test::waiting_goroutines others;
    others.go([&] { group.go([&] { started = true; }); });
    EXPECT_FALSE(started);
    end.send(1);
    others.wait();
    EXPECT_FALSE(group.wait());
    EXPECT_TRUE(started);
  });
}

TEST(errgroup, of_limit_zero_starts_nothing) {
  run([] {
    errgroup group;
    group.set_limit(0);
    EXPECT_FALSE(group.try_go([] { ADD_FAILURE(); }));
    EXPECT_FALSE(group.wait());
    group.set_limit(-1);
    EXPECT_TRUE(group.try_go([] {}));
    EXPECT_FALSE(group.wait());
  });
}

TEST(errgroup, panics_when_its_limit_is_changed_while_parts_are_active) {
  run([] {
    errgroup group;
    group.set_limit(2);
    auto end = runnel::make_chan<int>();
    group.go([=] { end.recv(); });
    try {
      group.set_limit(3);
      ADD_FAILURE();
    } catch (const runnel::runtime_error& e) {
      EXPECT_STREQ(e.what(),
                   "errgroup: modify limit while 1 goroutines in the group are still active");
    }
    end.send(1);
    EXPECT_FALSE(group.wait());
    group.set_limit(3);
    EXPECT_TRUE(group.try_go([] {}));
    EXPECT_FALSE(group.wait());
  });
}

TEST(errgroup, panics_when_it_gets_a_limit_while_parts_are_active_without_one) {
  run([] {
    errgroup group;
    auto end = runnel::make_chan<int>();
    group.go([=] { end.recv(); });
    EXPECT_THROW(group.set_limit(1), runnel::runtime_error);
    end.send(1);
    EXPECT_FALSE(group.wait());
  });
}

TEST(errgroup, takes_parts_that_can_only_be_moved_and_destroys_them_before_wait_returns) {
  test::no_counted_left check;
  run({.max_procs = 4}, [] {
    for (int i = 0; i < test::scaled(300); ++i) {
      errgroup group;
      for (int k = 0; k < 4; ++k) {
        group.go([k, c = test::counted(k), p = std::make_unique<int>(k)] {
          EXPECT_EQ(c.value(), *p);
          if (k == 3) throw std::runtime_error("part");
        });
      }
      ASSERT_EQ(thrown_by_wait(group), "part");
      ASSERT_EQ(test::counted::alive(), 0);
    }
  });
}

TEST(errgroup, may_be_destroyed_as_soon_as_wait_has_returned) {
  run({.max_procs = 4}, [] {
    for (int i = 0; i < test::scaled(2000); ++i) {
      context ctx;
      auto group = std::make_unique<errgroup>(background(), ctx);
      group->set_limit(2);
      for (int k = 0; k < 3; ++k) group->go([] {});
      ASSERT_FALSE(group->wait());
    }
  });
}

TEST(errgroup, works_on_plain_threads) {
  run({.max_procs = 1}, [] {
    std::thread plain([] {
      context ctx;
      errgroup group(background(), ctx);
      group.set_limit(2);
      std::atomic<int> ended{0};
      for (int i = 0; i < 20; ++i) group.go([&] { ++ended; });
      group.go([] { return io; });
      EXPECT_EQ(group.wait(), io);
      EXPECT_EQ(ended, 20);
    });
    runnel::blocking([&] { plain.join(); });
  });
}

TEST(errgroup, may_start_parts_from_its_parts) {
  run({.max_procs = 2}, [] {
    errgroup group;
    std::atomic<int> ended{0};
    group.go([&] {
      for (int i = 0; i < 10; ++i) {
        group.go([&] {
          group.go([&] { ++ended; });
          ++ended;
        });
      }
    });
    EXPECT_FALSE(group.wait());
    EXPECT_EQ(ended, 20);
  });
}

}  // namespace
