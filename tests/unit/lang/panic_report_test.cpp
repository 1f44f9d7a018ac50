// What a program prints when nobody recovers a panic, and its exit status.

#include <gtest/gtest.h>

#include <stdexcept>

#include "runnel/defer.h"
#include "runnel/go.h"
#include "runnel/time.h"
#include "support/death.h"

namespace {

using namespace std::chrono_literals;
using runnel::defer_stack;
using runnel::func;
using runnel::panic;
using runnel::run;

class panic_report : public test::in_own_process {};

[[gnu::noinline]] void fails_in_here(const char* text) { panic(text); }

// A guard of which the compiler sees that it always throws leaves no handler reachable: then nothing is unwound.
bool true_at_run_time() {
  static volatile bool value = true;
  return value;
}
void panic_at_run_time(const char* text) {
  if (true_at_run_time()) panic(text);
}

template <class F>
void in_a_goroutine(F f) {
  run([&] {
    runnel::go(f);
    runnel::sleep(1h);
  });
}

// Without a handler: a death test would catch what leaves run().
template <class F>
void in_main(F f) noexcept {
  run(f);
}

TEST_F(panic_report, of_a_goroutine_shows_the_stack_of_the_panic) {
  EXPECT_EXIT(in_a_goroutine([] { fails_in_here("boom"); }), test::exits_with_2,
              "panic: boom\n\ngoroutine [0-9]+ \\[running\\]:\n(.|\n)*fails_in_here");
}

TEST_F(panic_report, of_main_shows_the_stack_of_the_panic) {
  EXPECT_EXIT(in_main([] { fails_in_here("in main"); }), test::exits_with_2,
              "panic: in main\n\ngoroutine 1 \\[running\\]:\n(.|\n)*fails_in_here");
}

TEST_F(panic_report, says_who_created_the_goroutine) {
  EXPECT_EXIT(in_a_goroutine([] { fails_in_here("child"); }), test::exits_with_2,
              "created by (.|\n)* in goroutine 1");
}

TEST_F(panic_report, names_the_type_of_other_exceptions) {
  EXPECT_EXIT(in_a_goroutine([] { throw std::out_of_range("beyond"); }), test::exits_with_2,
              "panic: std::out_of_range: beyond");
  EXPECT_EXIT(in_a_goroutine([] { throw 5; }), test::exits_with_2, "panic: exception of type int");
}

[[gnu::noinline]] void throws_in_here() { throw std::out_of_range("thrown"); }

void in_a_func() {
  func([](defer_stack& defer) {
    defer([] {});
    throws_in_here();
  });
}

TEST_F(panic_report, of_any_exception_shows_the_stack_of_the_throw_though_a_func_was_on_its_way) {
  EXPECT_EXIT(
      in_a_goroutine([] { in_a_func(); }), test::exits_with_2,
      "panic: std::out_of_range: thrown\n\ngoroutine [2-9] \\[running\\]:\n(.|\n)*throws_in_here"
      "(.|\n)*in_a_func");
}

TEST_F(panic_report, of_any_exception_of_main_shows_the_stack_of_the_throw) {
  EXPECT_EXIT(
      in_main([] { throws_in_here(); }), test::exits_with_2,
      "panic: std::out_of_range: thrown\n\ngoroutine 1 \\[running\\]:\n(.|\n)*throws_in_here");
}

TEST_F(panic_report, shows_both_panics_if_a_guard_panics_while_another_runs_it) {
  EXPECT_EXIT(in_a_goroutine([] {
                func([](defer_stack&) {
                  runnel::defer guard([] { panic_at_run_time("second"); });
                  panic("first");
                });
              }),
              test::exits_with_2, "panic: first\n\tpanic: second\n\ngoroutine");
  EXPECT_EXIT(in_main([] {
                runnel::defer guard([] {
                  if (true_at_run_time()) throw std::out_of_range("second");
                });
                throw std::logic_error("first");
              }),
              test::exits_with_2,
              "panic: std::logic_error: first\n\tpanic: std::out_of_range: second\n");
}

TEST_F(panic_report, shows_a_panic_once_though_a_func_has_seen_it_before_a_guard_panics) {
  EXPECT_EXIT(in_a_goroutine([] {
                func([](defer_stack&) {
                  runnel::defer guard([] {
                    func([](defer_stack& defer) {
                      defer([] {});
                      panic_at_run_time("second");
                    });
                  });
                  func([](defer_stack& defer) {
                    defer([] {});
                    panic("first");
                  });
                });
              }),
              test::exits_with_2, "^panic: first\n\tpanic: second\n\ngoroutine");
}

TEST_F(panic_report, of_a_guard_leaves_out_what_it_has_recovered_from) {
  EXPECT_EXIT(in_a_goroutine([] {
                func([](defer_stack&) {
                  runnel::defer guard([] {
                    func([](defer_stack& defer) {
                      defer([] { runnel::recover(); });
                      throw 5;
                    });
                    panic_at_run_time("third");
                  });
                  panic("first");
                });
              }),
              test::exits_with_2, "^panic: first\n\tpanic: third\n");
}

TEST_F(panic_report, shows_panics_in_the_order_in_which_they_came) {
  EXPECT_EXIT(in_a_goroutine([] {
                func([](defer_stack& defer) {
                  defer([] { panic("second"); });
                  panic("first");
                });
              }),
              test::exits_with_2, "panic: first\n\tpanic: second\n");
}

TEST_F(panic_report, shows_which_was_recovered) {
  EXPECT_EXIT(in_a_goroutine([] {
                func([](defer_stack& defer) {
                  defer([] {
                    runnel::recover();
                    panic("again");
                  });
                  panic("once");
                });
              }),
              test::exits_with_2, "panic: once \\[recovered\\]\n\tpanic: again\n");
}

TEST_F(panic_report, shows_all_panics_of_main) {
  EXPECT_EXIT(in_main([] {
                func([](defer_stack& defer) {
                  defer([] { panic("second"); });
                  panic("first");
                });
              }),
              test::exits_with_2, "panic: first\n\tpanic: second\n");
}

TEST_F(panic_report, has_no_stack_if_none_is_wanted) {
  with_environment("RUNNEL_TRACEBACK", "none");
  EXPECT_EXIT(in_a_goroutine([] { panic("short"); }), test::exits_with_2, "^panic: short\n$");
}

TEST_F(panic_report, of_a_goexit_that_was_swallowed_says_what_to_do) {
  EXPECT_EXIT(in_a_goroutine([] {
                try {
                  runnel::goexit();
                } catch (...) {
                }
              }),
              test::exits_with_2, "goexit was stopped by a catch");
}

}  // namespace
