#include "runnel/sync/once.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "runnel/runnel.h"
#include "support/scale.h"
#include "support/wait.h"

namespace {

using runnel::once;
using runnel::run;

TEST(once, calls_its_function_once) {
  once o;
  int calls = 0;
  for (int i = 0; i < 3; ++i) o.call([&] { ++calls; });
  o.call([] { FAIL(); });
  EXPECT_EQ(calls, 1);
}

TEST(once, lets_concurrent_callers_wait_until_the_function_has_ended) {
  for (int procs : {1, 8}) {
    run({.max_procs = procs}, [] {
      for (int round = 0; round < test::scaled(300); ++round) {
        once o;
        int value = 0;
        std::atomic<int> wrong{0};
        auto use = [&] {
          o.call([&] {
            runnel::yield();
            value = 7;
          });
          wrong += value != 7;
        };
        runnel::wait_group wg;
        for (int i = 0; i < 8; ++i) wg.go(use);
        std::thread plain(use);
        wg.wait();
        runnel::blocking([&] { plain.join(); });
        EXPECT_EQ(wrong, 0);
      }
    });
  }
}

TEST(once, counts_a_call_that_throws_as_done) {
  once o;
  EXPECT_THROW(o.call([] { throw std::runtime_error("first"); }), std::runtime_error);
  o.call([] { FAIL(); });
}

TEST(once, counts_a_call_that_ends_by_goexit_as_done_and_wakes_those_who_wait) {
  run({.max_procs = 1}, [] {
    once o;
    runnel::wait_group wg;
    wg.go([&] {
      o.call([] {
        runnel::yield();
        runnel::goexit();
      });
      ADD_FAILURE();
    });
    runnel::yield();  // it is in the call
    wg.go([&] { o.call([] { ADD_FAILURE(); }); });
    wg.wait();
  });
}

TEST(once, may_be_destroyed_when_the_calls_have_returned) {
  run({.max_procs = 4}, [] {
    for (int i = 0; i < test::scaled(3000); ++i) {
      struct shared {
        once o;
      };
      auto s = std::make_shared<shared>();
      runnel::wait_group wg;
      for (int k = 0; k < 3; ++k) {
        wg.go([s] { s->o.call([] { runnel::yield(); }); });
      }
      s.reset();
      wg.wait();
    }
  });
}

TEST(once_func, calls_its_function_once_for_all_its_copies) {
  run({.max_procs = 4}, [] {
    std::atomic<int> calls{0};
    auto f = runnel::once_func([&] { ++calls; });
    runnel::wait_group wg;
    for (int i = 0; i < 20; ++i) wg.go(f);
    wg.wait();
    f();
    EXPECT_EQ(calls, 1);
  });
}

TEST(once_func, throws_the_same_exception_at_every_call) {
  int calls = 0;
  auto f = runnel::once_func([&] {
    ++calls;
    throw std::runtime_error("broken");
  });
  const std::runtime_error* first = nullptr;
  for (int i = 0; i < 3; ++i) {
    try {
      f();
      FAIL();
    } catch (const std::runtime_error& e) {
      EXPECT_STREQ(e.what(), "broken");
      if (first == nullptr) first = &e;
      EXPECT_EQ(&e, first);
    }
  }
  EXPECT_EQ(calls, 1);
}

TEST(once_func, that_called_goexit_panics_for_later_callers) {
  run([] {
    auto f = runnel::once_func([] { runnel::goexit(); });
    runnel::wait_group wg;
    bool after = false;
    wg.go([&] {
      f();
      after = true;
    });
    wg.wait();
    EXPECT_FALSE(after);
    EXPECT_THROW(f(), runnel::runtime_error);
  });
}

TEST(once_func, destroys_its_function_after_the_call) {
  auto token = std::make_shared<int>(1);
  auto f = runnel::once_func([token] {});
  EXPECT_EQ(token.use_count(), 2);
  f();
  EXPECT_EQ(token.use_count(), 1);
  auto g = runnel::once_func([token] { throw 1; });
  EXPECT_THROW(g(), int);
  EXPECT_EQ(token.use_count(), 1);
}

TEST(once_func, takes_functions_that_can_only_be_moved) {
  int seen = 0;
  auto f = runnel::once_func([p = std::make_unique<int>(5), &seen] { seen = *p; });
  f();
  EXPECT_EQ(seen, 5);
}

TEST(once_value, gives_every_caller_the_same_result) {
  run({.max_procs = 4}, [] {
    std::atomic<int> calls{0};
    auto f = runnel::once_value([&] {
      ++calls;
      return std::string("result");
    });
    const std::string* first = &f();
    runnel::wait_group wg;
    for (int i = 0; i < 10; ++i) {
      wg.go([&, f] {
        EXPECT_EQ(f(), "result");
        EXPECT_EQ(&f(), first);
      });
    }
    wg.wait();
    EXPECT_EQ(calls, 1);
  });
}

TEST(once_value, holds_results_that_can_only_be_moved_or_look_like_anything) {
  auto f = runnel::once_value([] { return std::make_unique<int>(3); });
  EXPECT_EQ(*f(), 3);
  auto c = runnel::once_value([] { return 'x'; });
  EXPECT_EQ(c(), 'x');
}

TEST(once_value, throws_the_same_exception_at_every_call) {
  auto f = runnel::once_value([]() -> int { throw std::logic_error("no value"); });
  for (int i = 0; i < 2; ++i) EXPECT_THROW(f(), std::logic_error);
}

}  // namespace
