// The Go specification on go statements and on the execution of a program.

#include <runnel/chan.h>

#include <memory>
#include <vector>

#include "programs/conformance.h"
#include "support/death.h"

namespace {

using conformance::background, conformance::let_others_run, conformance::times;
using runnel::go, runnel::make_chan;

CONFORMANCE(go_statements);

// Section "Go statements": a go statement starts the call as an independent concurrent thread of control: it goes on
// while the one who started it waits, and is waited for.
TEST_P(go_statements, start_an_independent_thread_of_control) {
  run([] {
    auto ping = make_chan<int>(), pong = make_chan<int>();
    go([=] {
      for (int v : ping) pong.send(v + 1);
      pong.close();
    });
    for (int i = 0; i < times(1000); ++i) {
      ping.send(i);
      ASSERT_EQ(pong.recv(), i + 1);
    }
    ping.close();
    EXPECT_FALSE(pong.recv().has_value());
  });
}

struct counts_copies {
  int* copies;
  explicit counts_copies(int* c) : copies(c) {}
  counts_copies(const counts_copies& other) : copies(other.copies) { ++*copies; }
};

// Section "Go statements": function value and parameters are evaluated in the goroutine that executes the statement;
// what happens to their sources afterwards makes no difference.
TEST_P(go_statements, evaluate_function_and_parameters_in_the_calling_goroutine) {
  run([] {
    auto result = make_chan<int>(2);
    int argument = 1, copies = 0;
    auto function = [result, base = 10](int n, const counts_copies&) { result.send(base + n); };
    counts_copies counter(&copies);
    go(function, argument, counter);
    EXPECT_GT(copies, 0);  // it has not begun, but has its argument
    int before = copies;
    argument = 2;
    EXPECT_EQ(result.recv(), 11);
    go([result](const std::unique_ptr<int>& p) { result.send(*p); }, std::make_unique<int>(5));
    EXPECT_EQ(result.recv(), 5);
    EXPECT_EQ(copies, before);
  });
}

// Section "Go statements": unlike with a regular call, execution does not wait for the function to complete.
TEST_P(go_statements, do_not_wait_for_the_function_to_complete) {
  run([] {
    auto go_on = make_chan<int>();
    std::atomic<bool> completed{false};
    background other([&] {
      go([&] { go_on.recv(), completed = true; });
      go_on.recv();
    });
    go_on.send(1);  // one of them completes; neither waited for the other
    go_on.send(1);
    EXPECT_TRUE(other.ends());
    EXPECT_TRUE(test::eventually([&] { return completed.load(); }));
  });
}

// Section "Go statements": the new goroutine ends when its function does, and is gone.
TEST_P(go_statements, end_their_goroutine_when_the_function_terminates) {
  run([] {
    for (int i = 0; i < times(10); ++i) {
      for (int k = 0; k < 100; ++k) go([] { runnel::yield(); });
      EXPECT_TRUE(test::eventually([] { return runnel::num_goroutine() == 1; }));
    }
  });
}

struct result_value {
  std::shared_ptr<int> token;
};

// Section "Go statements": a result of the function is discarded when it completes.
TEST_P(go_statements, discard_results) {
  run([] {
    auto token = std::make_shared<int>(0);
    std::weak_ptr<int> watch = token;
    go([t = std::move(token)]() mutable { return result_value{std::move(t)}; });
    EXPECT_TRUE(test::eventually([&] { return watch.expired(); }));
  });
}

// Section "Handling panics": a panic that nobody recovers in its goroutine ends the program and reports its value.
TEST_P(go_statements, whose_function_panics_end_the_program) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(run([] {
                auto never = make_chan<int>();
                go([] { throw runnel::runtime_error("of a goroutine"); });
                never.recv_for(std::chrono::seconds(30));
              }),
              test::exits_with_2, "panic: .*of a goroutine");
}

CONFORMANCE(program_execution);

// Section "Program execution": the program ends when main returns; it does not wait for other goroutines.
TEST_P(program_execution, does_not_wait_for_other_goroutines_when_main_returns) {
  auto never = make_chan<int>();
  static std::atomic<bool> went_on;
  went_on = false;
  run([never] {
    for (int i = 0; i < 10; ++i) {
      go([never] {
        never.recv();
        went_on = true;
      });
    }
    let_others_run();
  });
  run([never] { let_others_run(); });
  EXPECT_FALSE(went_on);
}

// The same of those that are not blocked: none of them goes on.
TEST_P(program_execution, stops_those_who_could_go_on_when_main_returns) {
  static std::atomic<long> steps;
  steps = 0;
  run([] {
    for (int i = 0; i < 8; ++i) {
      go([] {
        for (;;) ++steps, runnel::yield();
      });
    }
    EXPECT_TRUE(test::eventually([] { return steps > 1000; }));
  });
  long at_the_end = steps;  // those who were between the two calls take one step more
  run([] { let_others_run(); });
  EXPECT_LE(steps, at_the_end + 8);
}

// Section "Program execution": it begins by invoking main, and main's return ends it: with main's result.
TEST_P(program_execution, begins_by_invoking_main_and_ends_with_its_return) {
  bool invoked = false;
  int result = run([&] {
    invoked = true;
    return 5;
  });
  EXPECT_TRUE(invoked);
  EXPECT_EQ(result, 5);
}

}  // namespace
