// The documentation of golang.org/x/sync/semaphore and singleflight.

#include <runnel/context.h>
#include <runnel/sync.h>

#include <string>

#include "programs/conformance.h"

namespace {

using namespace std::chrono_literals;
using conformance::background, conformance::let_others_run, conformance::times;
using runnel::context_errc, runnel::semaphore, runnel::wait_group;

CONFORMANCE(x_semaphore);

// Weighted.Acquire: acquires a weight, blocking until it is available.
TEST_P(x_semaphore, blocks_until_the_weight_is_available) {
  run([] {
    semaphore s(3);
    s.acquire(2);
    background other([&] { s.acquire(2); });
    EXPECT_TRUE(other.stays_blocked());
    s.release(1);
    EXPECT_TRUE(other.ends());
    EXPECT_FALSE(s.try_acquire());
    s.release(3);
  });
}

// NewWeighted: the given weight is the most that is held at a time.
TEST_P(x_semaphore, never_gives_more_than_it_has) {
  run([] {
    constexpr int size = 5;
    semaphore s(size);
    std::atomic<int> held{0}, wrong{0};
    wait_group wg;
    for (int g = 0; g < 6; ++g) {
      wg.go([&, g] {
        for (int i = 0; i < times(2000); ++i) {
          int n = 1 + (i + g) % size;
          s.acquire(n);
          wrong += (held += n) > size;
          if (i % 4 == 0) runnel::yield();
          held -= n;
          s.release(n);
        }
      });
    }
    wg.wait();
    EXPECT_EQ(wrong, 0);
    EXPECT_TRUE(s.try_acquire(size));
  });
}

// Weighted.TryAcquire: acquires without blocking; on success true.
TEST_P(x_semaphore, try_acquire_takes_what_is_available) {
  run([] {
    semaphore s(3);
    EXPECT_TRUE(s.try_acquire());
    EXPECT_TRUE(s.try_acquire(2));
    EXPECT_FALSE(s.try_acquire());
    s.release(3);
  });
}

// Weighted.TryAcquire: on failure it returns false and leaves the semaphore unchanged.
TEST_P(x_semaphore, try_acquire_that_fails_changes_nothing) {
  run([] {
    semaphore s(3);
    EXPECT_FALSE(s.try_acquire(4));
    EXPECT_TRUE(s.try_acquire(2));
    EXPECT_FALSE(s.try_acquire(2));
    EXPECT_TRUE(s.try_acquire(1));
    s.release(3);
  });
}

// Weighted.Acquire: on success nil; it blocks until the weight is available or the context is done.
TEST_P(x_semaphore, acquire_with_a_context_succeeds_without_an_error) {
  run([] {
    semaphore s(1);
    auto [ctx, cancel] = runnel::with_cancel(runnel::background());
    EXPECT_FALSE(s.acquire(ctx, 1));
    background other([&s, c = ctx] { EXPECT_FALSE(s.acquire(c, 1)); });
    EXPECT_TRUE(other.stays_blocked());
    s.release();
    EXPECT_TRUE(other.ends());
    cancel();
  });
}

// Weighted.Acquire: on failure the context's error, and the semaphore is unchanged.
TEST_P(x_semaphore, acquire_fails_with_the_contexts_error_and_changes_nothing) {
  run([] {
    semaphore s(2);
    s.acquire(1);
    auto [ctx, cancel] = runnel::with_cancel(runnel::background());
    background canceled([&s, c = ctx] { EXPECT_EQ(s.acquire(c, 2), context_errc::canceled); });
    EXPECT_TRUE(canceled.stays_blocked());
    cancel();
    EXPECT_TRUE(canceled.ends());
    auto [soon, cancel_soon] = runnel::with_timeout(runnel::background(), 1ms);
    EXPECT_EQ(s.acquire(soon, 2), context_errc::deadline_exceeded);
    EXPECT_TRUE(s.try_acquire(1));
    s.release(2);
    cancel_soon();
  });
}

// The same for those who queue behind the one that gives up: they go on.
TEST_P(x_semaphore, goes_on_with_others_when_one_gives_up) {
  run([] {
    semaphore s(2);
    s.acquire(1);
    auto [ctx, cancel] = runnel::with_cancel(runnel::background());
    background large([&s, c = ctx] { EXPECT_TRUE(s.acquire(c, 2)); });
    EXPECT_TRUE(large.stays_blocked());
    background small([&s] { s.acquire(1); });
    let_others_run();
    cancel();
    EXPECT_TRUE(large.ends());
    EXPECT_TRUE(small.ends());
    s.release(2);
  });
}

CONFORMANCE(x_singleflight);

// Group.Do: executes the function and returns its result; a later call executes again.
TEST_P(x_singleflight, executes_the_function_and_returns_its_result) {
  run([] {
    runnel::singleflight<std::string, int> group;
    int calls = 0;
    for (int i = 1; i <= 3; ++i) {
      auto [value, shared] = group.do_("key", [&] { return ++calls; });
      EXPECT_EQ(value, i);
      EXPECT_FALSE(shared);
    }
  });
}

// Group.Do: only one execution is in flight for a key; a duplicate waits for it and gets the same result, which is
// marked as shared.
TEST_P(x_singleflight, lets_duplicates_wait_for_the_one_execution_and_share_its_result) {
  run([] {
    runnel::singleflight<std::string, int> group;
    wait_group gate, callers;
    gate.add(1);
    std::atomic<int> executions{0}, right{0}, shared_results{0};
    auto call = [&] {
      auto [value, shared] = group.do_("key", [&] {
        gate.wait();
        return ++executions;
      });
      right += value == 1;
      shared_results += shared;
    };
    for (int i = 0; i < 10; ++i) callers.go(call);
    let_others_run();
    EXPECT_EQ(executions, 0);
    gate.done();
    callers.wait();
    if (GetParam() > 1) return;  // some may not have called before the first was over
    EXPECT_EQ(executions, 1);
    EXPECT_EQ(right, 10);
    EXPECT_EQ(shared_results, 10);
  });
}

// The same as an invariant: executions of one key never overlap.
TEST_P(x_singleflight, never_has_two_executions_of_a_key_in_flight) {
  run([] {
    runnel::singleflight<int, int> group;
    std::atomic<int> inside[2]{}, wrong{0};
    wait_group wg;
    for (int g = 0; g < 6; ++g) {
      wg.go([&] {
        for (int i = 0; i < times(1000); ++i) {
          int key = i % 2;
          auto r = group.do_(key, [&] {
            wrong += ++inside[key] != 1;
            runnel::yield();
            --inside[key];
            return key;
          });
          wrong += r.value != key;
        }
      });
    }
    wg.wait();
    EXPECT_EQ(wrong, 0);
  });
}

// Group.Do: another key is another execution.
TEST_P(x_singleflight, executes_different_keys_at_the_same_time) {
  run([] {
    runnel::singleflight<int, int> group;
    wait_group gate;
    gate.add(1);
    background one([&] {
      group.do_(1, [&] {
        gate.wait();
        return 1;
      });
    });
    EXPECT_TRUE(one.stays_blocked());
    EXPECT_EQ(group.do_(2, [] { return 2; }).value, 2);
    gate.done();
    EXPECT_TRUE(one.ends());
  });
}

}  // namespace
