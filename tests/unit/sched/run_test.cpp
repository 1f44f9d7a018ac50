// run: what comes out of it, and when it may be called.

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "runnel/runnel.h"
#include "support/wait.h"

namespace {

using runnel::run;

TEST(run, returns_the_value_that_main_returns) {
  EXPECT_EQ(run([] { return 42; }), 42);
  EXPECT_EQ(run([] { return std::string(1000, 'x'); }), std::string(1000, 'x'));
}

TEST(run, returns_the_very_object_when_main_returns_a_reference) {
  int object = 1;
  int& result = run([&]() -> int& { return object; });
  EXPECT_EQ(&result, &object);
}

TEST(run, returns_nothing_when_main_returns_nothing) {
  bool called = false;
  run([&] { called = true; });
  EXPECT_TRUE(called);
}

TEST(run, returns_a_move_only_value) {
  std::unique_ptr<int> result = run([] { return std::make_unique<int>(7); });
  ASSERT_NE(result, nullptr);
  EXPECT_EQ(*result, 7);
}

TEST(run, passes_arguments_and_moves_those_that_can_only_be_moved) {
  auto main = [](std::unique_ptr<int> a, int b) { return *a + b; };
  EXPECT_EQ(run(main, std::make_unique<int>(40), 2), 42);
}

TEST(run, passes_a_reference_wrapper_on_as_a_reference) {
  int counter = 0;
  run([](int& c) { ++c; }, std::ref(counter));
  EXPECT_EQ(counter, 1);
}

TEST(run, lets_an_exception_of_main_out) {
  try {
    run([]() -> int { throw std::out_of_range("from main"); });
    FAIL();
  } catch (const std::out_of_range& e) {
    EXPECT_STREQ(e.what(), "from main");
  }
}

TEST(run, lets_an_exception_out_that_main_threw_after_it_had_parked) {
  EXPECT_THROW(run([] {
                 runnel::sleep(std::chrono::milliseconds(1));
                 throw 5;
               }),
               int);
}

TEST(run, works_again_after_an_exception) {
  EXPECT_THROW(run([] { throw 1; }), int);
  EXPECT_EQ(run([] { return 2; }), 2);
}

TEST(run, works_again_and_again) {
  for (int i = 0; i < 100; ++i) {
    int result = run([i] {
      std::atomic<int> sum{0};
      runnel::wait_group wg;
      for (int k = 0; k < 10; ++k) wg.go([&sum, i] { sum += i; });
      wg.wait();
      return sum.load();
    });
    ASSERT_EQ(result, 10 * i);
  }
}

TEST(run, works_from_one_thread_after_another) {
  for (int i = 0; i < 10; ++i) {
    std::thread([i] { EXPECT_EQ(run([i] { return i; }), i); }).join();
  }
}

TEST(run, called_from_a_goroutine_panics) {
  run([] { EXPECT_THROW(run([] {}), runnel::runtime_error); });
}

TEST(run, called_while_another_is_under_way_panics_and_leaves_that_alone) {
  int result = run([] {
    bool panicked = false;
    std::thread other([&] {
      try {
        run([] {});
      } catch (const runnel::runtime_error&) {
        panicked = true;
      }
    });
    other.join();
    return panicked ? 1 : 0;
  });
  EXPECT_EQ(result, 1);
  EXPECT_EQ(run([] { return 3; }), 3);
}

TEST(run, begins_goroutines_that_were_spawned_before_it) {
  std::atomic<int> begun{0};
  for (int i = 0; i < 10; ++i) runnel::go([&] { ++begun; });
  EXPECT_EQ(begun, 0);
  run([&] { EXPECT_TRUE(test::eventually([&] { return begun == 10; })); });
}

TEST(run, begins_goroutines_that_were_spawned_since_the_last_one) {
  run([] {});
  std::atomic<int> begun{0};
  runnel::go([&] { ++begun; });
  run([&] { EXPECT_TRUE(test::eventually([&] { return begun == 1; })); });
  run([] {});
  EXPECT_EQ(begun, 1);
}

TEST(run, takes_max_procs_from_its_options) {
  EXPECT_EQ(run({.max_procs = 3}, [] { return runnel::max_procs(); }), 3);
  EXPECT_EQ(run({.max_procs = 1}, [] { return runnel::max_procs(); }), 1);
}

// A frame of `bytes`, touched throughout.
[[gnu::noinline]] int touch_stack(std::size_t bytes) {
  auto* memory = static_cast<volatile char*>(__builtin_alloca(bytes));
  int sum = 0;
  for (std::size_t i = 0; i < bytes; i += 512) memory[i] = 1;
  for (std::size_t i = 0; i < bytes; i += 512) sum += memory[i];
  return sum;
}

TEST(run, gives_goroutines_the_stack_size_of_its_options) {
  int sum = run({.stack_size = 4 << 20}, [] { return touch_stack(3 << 20); });
  EXPECT_EQ(sum, (3 << 20) / 512);
}

TEST(run, gives_goroutines_its_own_stack_size_not_that_of_the_run_before) {
  run({.max_procs = 1, .stack_size = 32 << 10}, [] {
    runnel::wait_group wg;
    for (int i = 0; i < 10; ++i) wg.go([] { runnel::yield(); });
    wg.wait();
  });
  int sum = run({.max_procs = 1, .stack_size = 1 << 20}, [] {
    int result = 0;
    runnel::wait_group wg;
    wg.go([&] { result = touch_stack(700 << 10); });
    wg.wait();
    return result;
  });
  EXPECT_EQ(sum, (700 << 10) / 512);
}

TEST(run, on_a_plain_thread_there_is_no_goroutine) {
  run([] {});
  EXPECT_EQ(runnel::goroutine_id(), 0U);
  EXPECT_THROW(runnel::goexit(), runnel::runtime_error);
}

}  // namespace
