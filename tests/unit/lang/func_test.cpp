// func, defer_stack, recover: Go's rules for deferred calls and panics.

#include <gtest/gtest.h>
#include <unwind.h>

#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "runnel/defer.h"
#include "runnel/go.h"
#include "runnel/sync.h"
#include "runnel/time.h"

namespace {

using namespace std::chrono_literals;
using runnel::defer_stack;
using runnel::func;
using runnel::panic;
using runnel::recover;
using runnel::run;

std::string what_of(const runnel::panic_info* p) { return p != nullptr ? p->what() : "nothing"; }

TEST(func_that_returns, runs_what_it_deferred_last_first) {
  std::vector<int> order;
  func([&](defer_stack& defer) {
    for (int i = 0; i < 3; ++i) defer([&order, i] { order.push_back(i); });
    order.push_back(9);
  });
  EXPECT_EQ(order, (std::vector<int>{9, 2, 1, 0}));
}

TEST(func_that_returns, copies_arguments_when_it_defers) {
  int seen = 0, late = 0, i = 1;
  func([&](defer_stack& defer) {
    defer([&seen](int v) { seen = v; }, i);
    defer([&] { late = i; });
    i = 2;
  });
  EXPECT_EQ(seen, 1);
  EXPECT_EQ(late, 2);
}

TEST(func_that_returns, lets_deferred_calls_change_its_result) {
  EXPECT_EQ(func<int>([](defer_stack& defer, int& result) {
              defer([&] { result *= 2; });
              return 21;
            }),
            42);
  EXPECT_EQ(func<int>([](defer_stack& defer, int& result) {
              defer([&] { ++result; });
              result = 6;
            }),
            7);
}

TEST(func_that_returns, may_have_a_result_that_can_only_be_moved) {
  auto p = func<std::unique_ptr<int>>([](defer_stack&) { return std::make_unique<int>(3); });
  EXPECT_EQ(*p, 3);
}

TEST(func_that_returns, has_nothing_to_recover) {
  bool recovered = true;
  func([&](defer_stack& defer) { defer([&] { recovered = recover() != nullptr; }); });
  EXPECT_FALSE(recovered);
}

TEST(func_that_panics, runs_what_it_deferred_and_goes_on_panicking) {
  bool ran = false;
  try {
    func([&](defer_stack& defer) {
      defer([&] { ran = true; });
      panic("no");
    });
    ADD_FAILURE();
  } catch (const runnel::panic_error& e) {
    EXPECT_STREQ(e.what(), "no");
    EXPECT_EQ(std::any_cast<std::string>(e.value()), "no");
    EXPECT_FALSE(e.backtrace().empty());
  }
  EXPECT_TRUE(ran);
}

TEST(func_that_panics, returns_what_its_result_is_when_it_is_recovered) {
  int got = func<int>([](defer_stack& defer, int& result) -> int {
    defer([&] {
      EXPECT_EQ(what_of(recover()), "7");
      result = 5;
    });
    panic(7);
  });
  EXPECT_EQ(got, 5);
  EXPECT_EQ(func<int>([](defer_stack& defer) -> int {
              defer([] { recover(); });
              panic("x");
            }),
            0);
}

TEST(func_that_panics, tells_of_any_exception) {
  func([](defer_stack& defer) {
    defer([] {
      const runnel::panic_info* p = recover();
      ASSERT_NE(p, nullptr);
      EXPECT_STREQ(p->what(), "out");
      EXPECT_FALSE(p->is_runtime_error());
      EXPECT_THROW(std::rethrow_exception(p->exception()), std::out_of_range);
    });
    throw std::out_of_range("out");
  });
}

[[gnu::noinline]] void fails_by_throwing() { throw std::out_of_range("out"); }

// Where the innermost call of a backtrace lies.
void* function_of(std::span<void* const> backtrace) {
  if (backtrace.empty()) return nullptr;
  return _Unwind_FindEnclosingFunction(static_cast<char*>(backtrace.front()) - 1);
}

TEST(func_that_panics, knows_where_any_exception_was_thrown) {
  void* where = nullptr;
  func([&](defer_stack& defer) {
    defer([&] { where = function_of(recover()->backtrace()); });
    // On the way up another one comes and goes.
    runnel::defer guard([] {
      func([](defer_stack& inner) {
        inner([] { recover(); });
        throw std::out_of_range("another");
      });
    });
    func([](defer_stack& inner) {
      inner([] {});
      fails_by_throwing();
    });
  });
  EXPECT_EQ(where, reinterpret_cast<void*>(&fails_by_throwing));
}

TEST(func_that_panics, is_recovered_once) {
  func([](defer_stack& defer) {
    defer([] {
      EXPECT_NE(recover(), nullptr);
      EXPECT_EQ(recover(), nullptr);
    });
    panic("once");
  });
}

TEST(func_that_panics, is_not_recovered_by_a_func_within_a_deferred_call) {
  std::string seen = "?";
  EXPECT_THROW(func([&](defer_stack& defer) {
                 defer([&] {
                   func([&](defer_stack& inner) {
                     EXPECT_EQ(recover(), nullptr);
                     inner([&] { seen = what_of(recover()); });
                   });
                 });
                 panic("outer");
               }),
               runnel::panic_error);
  EXPECT_EQ(seen, "nothing");
}

TEST(func_that_panics, is_recovered_by_the_func_above) {
  std::string seen;
  func([&](defer_stack& defer) {
    defer([&] { seen = what_of(recover()); });
    func([](defer_stack& inner) {
      inner([] {});
      panic("below");
    });
  });
  EXPECT_EQ(seen, "below");
}

TEST(func_that_panics, lets_a_second_panic_take_over) {
  std::vector<std::string> seen;
  func([&](defer_stack& defer) {
    defer([&] {
      for (const runnel::panic_info* p = recover(); p != nullptr; p = p->previous()) {
        seen.emplace_back(p->what());
      }
    });
    defer([] { panic("second"); });
    panic("first");
  });
  EXPECT_EQ(seen, (std::vector<std::string>{"second", "first"}));
}

TEST(func_that_panics, runs_the_remaining_calls_after_a_call_that_panics) {
  int ran = 0;
  EXPECT_THROW(func([&](defer_stack& defer) {
                 defer([&] { ++ran; });
                 defer([] { panic("in a call"); });
                 defer([&] { ++ran; });
               }),
               runnel::panic_error);
  EXPECT_EQ(ran, 2);
}

TEST(func_that_panics, forgets_a_recovered_panic) {
  func([](defer_stack& defer) {
    defer([] {
      func([](defer_stack& again) {
        again([] { EXPECT_EQ(recover()->previous(), nullptr); });
        panic("new");
      });
    });
    func([](defer_stack& inner) {
      inner([] { recover(); });
      panic("old");
    });
  });
}

TEST(func_that_panics, may_park_in_deferred_calls) {
  run({.max_procs = 2}, [] {
    runnel::wait_group wg;
    for (int i = 0; i < 50; ++i) {
      wg.go([i] {
        std::string seen;
        func([&](defer_stack& defer) {
          defer([&] {
            runnel::sleep(100us);
            runnel::yield();
            seen = what_of(recover());
            runnel::sleep(100us);
          });
          panic(i);
        });
        EXPECT_EQ(seen, std::to_string(i));
      });
    }
    wg.wait();
  });
}

TEST(func_on_a_plain_thread, works_as_on_a_goroutine) {
  std::thread([] {
    std::string seen;
    func([&](defer_stack& defer) {
      defer([&] { seen = what_of(recover()); });
      panic("thread");
    });
    EXPECT_EQ(seen, "thread");
  }).join();
}

TEST(func_left_by_goexit, runs_what_it_deferred_and_cannot_be_recovered) {
  run([] {
    bool ran = false, recovered = false, went_on = false;
    runnel::wait_group wg;
    wg.go([&] {
      func([&](defer_stack& defer) {
        defer([&] {
          ran = true;
          recovered = recover() != nullptr;
        });
        runnel::goexit();
      });
      went_on = true;
    });
    wg.wait();
    EXPECT_TRUE(ran);
    EXPECT_FALSE(recovered);
    EXPECT_FALSE(went_on);
  });
}

TEST(func_left_by_goexit, goes_on_exiting_after_a_recovered_panic) {
  run([] {
    bool went_on = false;
    runnel::wait_group wg;
    wg.go([&] {
      func([](defer_stack& defer) {
        defer([] { EXPECT_NE(recover(), nullptr); });
        defer([] { panic("meanwhile"); });
        runnel::goexit();
      });
      went_on = true;
    });
    wg.wait();
    EXPECT_FALSE(went_on);
  });
}

TEST(deferred_call, of_nothing_panics_when_it_is_called) {
  bool reached = false;
  std::string seen;
  func([&](defer_stack& defer) {
    defer([&] { seen = what_of(recover()); });
    void (*nothing)() = nullptr;
    defer(nothing);
    reached = true;
  });
  EXPECT_TRUE(reached);
  EXPECT_EQ(seen, "invalid memory address or nil pointer dereference");
}

TEST(deferred_call, may_be_large_or_many) {
  long sum = 0;
  func([&](defer_stack& defer) {
    std::array<long, 100> large{};
    large.fill(1);
    for (int i = 0; i < 100; ++i) {
      defer([&sum, large] { sum += large[50]; });
    }
  });
  EXPECT_EQ(sum, 100);
}

TEST(scope_guard, calls_when_its_scope_ends_last_first) {
  std::vector<int> order;
  {
    runnel::defer first([&](int v) { order.push_back(v); }, 1);
    runnel::defer second([&] { order.push_back(2); });
    order.push_back(0);
  }
  EXPECT_EQ(order, (std::vector<int>{0, 2, 1}));
}

TEST(scope_guard, calls_while_a_panic_passes) {
  bool ran = false;
  try {
    runnel::defer guard([&] { ran = true; });
    panic("passes");
  } catch (const runnel::panic_error&) {
  }
  EXPECT_TRUE(ran);
}

TEST(scope_guard, may_panic_at_the_end_of_its_scope) {
  EXPECT_THROW({ runnel::defer guard([] { panic("at the end"); }); }, runnel::panic_error);
  void (*nothing)() = nullptr;
  EXPECT_THROW({ runnel::defer guard(nothing); }, runnel::runtime_error);
}

}  // namespace
