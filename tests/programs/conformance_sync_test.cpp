// The documentation of package sync on WaitGroup, Cond, Once, OnceFunc and OnceValue.

#include <runnel/sync.h>

#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "programs/conformance.h"

namespace {

using namespace std::chrono_literals;
using conformance::background, conformance::let_others_run, conformance::panic_of;
using conformance::times;
using runnel::cond, runnel::mutex, runnel::shared_mutex, runnel::wait_group;

CONFORMANCE(sync_wait_group);

// WaitGroup.Wait: blocks until the counter is zero.
TEST_P(sync_wait_group, blocks_who_waits_until_the_counter_is_zero) {
  run([] {
    wait_group wg;
    wg.wait();
    wg.add(2);
    background waiting([&] { wg.wait(); });
    EXPECT_TRUE(waiting.stays_blocked());
    wg.done();
    EXPECT_TRUE(waiting.stays_blocked());
    wg.done();
    EXPECT_TRUE(waiting.ends());
  });
}

// WaitGroup.Add: adds its argument, which may be negative; at zero, all who are blocked are released.
TEST_P(sync_wait_group, releases_all_waiters_when_a_negative_delta_makes_it_zero) {
  run([] {
    wait_group wg;
    wg.add(5);
    background a([&] { wg.wait(); }), b([&] { wg.wait(); }), c([&] { wg.wait(); });
    wg.add(-4);
    EXPECT_TRUE(a.stays_blocked() && b.stays_blocked() && c.stays_blocked());
    wg.add(-1);
    EXPECT_TRUE(a.ends() && b.ends() && c.ends());
  });
}

// WaitGroup.Add: panics if the counter becomes negative.
TEST_P(sync_wait_group, panics_when_the_counter_becomes_negative) {
  run([] {
    wait_group wg, other;
    EXPECT_EQ(panic_of([&] { wg.done(); }), "sync: negative WaitGroup counter");
    other.add(2);
    EXPECT_EQ(panic_of([&] { other.add(-3); }), "sync: negative WaitGroup counter");
  });
}

// WaitGroup.Add: it may be reused for another set of events once all calls of wait have returned.
TEST_P(sync_wait_group, may_be_reused_when_all_waits_have_returned) {
  run([] {
    wait_group wg;
    for (int i = 0; i < times(1000); ++i) {
      std::atomic<int> done{0};
      for (int k = 0; k < 3; ++k) wg.go([&] { ++done; });
      wg.wait();
      ASSERT_EQ(done, 3);
    }
  });
}

// WaitGroup.Go: calls f in a new goroutine and adds that task to the group; when f returns it is removed.
TEST_P(sync_wait_group, go_adds_a_task_until_its_function_returns) {
  run([] {
    wait_group wg, gate;
    gate.add(1);
    std::atomic<std::uint64_t> who{0};
    wg.go([&] {
      who = runnel::goroutine_id();
      gate.wait();
    });
    background waiting([&] { wg.wait(); });
    EXPECT_TRUE(waiting.stays_blocked());
    gate.done();
    EXPECT_TRUE(waiting.ends());
    EXPECT_NE(who, runnel::goroutine_id());
  });
}

CONFORMANCE(sync_cond);

// Cond.Wait: atomically unlocks the lock and suspends the goroutine: who gets the lock afterwards finds it waiting.
TEST_P(sync_cond, wait_unlocks_and_suspends_atomically) {
  run([] {
    mutex mu;
    cond c(mu);
    for (int i = 0; i < times(3000); ++i) {
      bool waits = false;
      background waiting([&] {
        std::lock_guard hold(mu);
        waits = true;
        c.wait();
      });
      ASSERT_TRUE(test::eventually([&] {
        std::lock_guard hold(mu);
        if (waits) c.notify_one();  // must not be lost
        return waits;
      }));
      ASSERT_TRUE(waiting.ends());
    }
  });
}

// Cond.Wait: locks it again before it returns.
TEST_P(sync_cond, wait_returns_with_the_lock) {
  run([] {
    mutex mu;
    cond c(mu);
    bool go_on = false;
    std::atomic<bool> waits{false}, had_it{false};
    background waiting([&] {
      mu.lock();
      waits = true;
      while (!go_on) c.wait();
      had_it = !mu.try_lock();
      mu.unlock();
    });
    EXPECT_TRUE(test::eventually([&] { return waits.load(); }));
    mu.lock();
    go_on = true;
    c.notify_one();
    EXPECT_TRUE(waiting.stays_blocked());  // as long as this one holds it
    mu.unlock();
    EXPECT_TRUE(waiting.ends());
    EXPECT_TRUE(had_it);
  });
}

// How many goroutines wait at a cond, and how many have been let go.
struct waiting_room {
  mutex mu;
  cond<mutex> c{mu};
  int inside = 0;
  std::atomic<int> released{0};
  wait_group all;

  void fill(int n) {
    for (int i = 0; i < n; ++i) {
      all.go([this] {
        std::lock_guard hold(mu);
        ++inside;
        c.wait();
        ++released;
      });
    }
    EXPECT_TRUE(test::eventually([&] {
      std::lock_guard hold(mu);
      return inside == n;
    }));
  }
};

// Cond.Wait: unlike elsewhere, it cannot return unless awoken by Broadcast or Signal.
TEST_P(sync_cond, wait_does_not_return_unless_awoken) {
  run([] {
    waiting_room room;
    room.fill(10);
    for (int i = 0; i < 10; ++i) let_others_run();
    EXPECT_EQ(room.released, 0);
    room.c.notify_all();
    room.all.wait();
  });
}

// Cond.Signal: wakes one goroutine that waits.
TEST_P(sync_cond, notify_one_wakes_one) {
  run([] {
    waiting_room room;
    room.fill(5);
    for (int i = 1; i <= 5; ++i) {
      room.c.notify_one();
      EXPECT_TRUE(test::eventually([&] { return room.released == i; }));
      let_others_run();
      EXPECT_EQ(room.released, i);
    }
    room.all.wait();
  });
}

// Cond.Signal: if there is any: it is not kept for one who comes later.
TEST_P(sync_cond, notifications_without_waiters_are_forgotten) {
  run([] {
    waiting_room room;
    room.c.notify_one();
    room.c.notify_all();
    room.fill(2);
    let_others_run();
    EXPECT_EQ(room.released, 0);
    room.c.notify_all();
    room.all.wait();
  });
}

// Cond.Broadcast: wakes all that wait.
TEST_P(sync_cond, notify_all_wakes_all) {
  run([] {
    for (int i = 0; i < times(100); ++i) {
      waiting_room room;
      room.fill(20);
      room.c.notify_all();
      ASSERT_TRUE(room.all.wait_for(30s));
      ASSERT_EQ(room.released, 20);
    }
  });
}

// Cond.Signal, Cond.Broadcast: the caller may hold the lock, but need not.
TEST_P(sync_cond, may_be_notified_with_and_without_the_lock) {
  run([] {
    waiting_room room;
    room.fill(4);
    room.c.notify_one();
    EXPECT_TRUE(test::eventually([&] { return room.released == 1; }));
    room.mu.lock();
    room.c.notify_one();
    room.mu.unlock();
    EXPECT_TRUE(test::eventually([&] { return room.released == 2; }));
    room.mu.lock();
    room.c.notify_all();
    room.mu.unlock();
    room.all.wait();
  });
}

// Cond: the associated lock may also be an RWMutex.
TEST_P(sync_cond, may_use_a_shared_mutex) {
  run([] {
    shared_mutex mu;
    cond c(mu);
    bool ready = false;
    background waiting([&] {
      std::lock_guard hold(mu);
      c.wait([&] { return ready; });
    });
    EXPECT_TRUE(waiting.stays_blocked());
    {
      std::lock_guard hold(mu);
      ready = true;
    }
    c.notify_all();
    EXPECT_TRUE(waiting.ends());
  });
}

CONFORMANCE(sync_once);

// Once.Do: calls the function if and only if it is called for the first time for this once.
TEST_P(sync_once, calls_the_function_on_the_first_call_only) {
  run([] {
    runnel::once once, other;
    int calls = 0;
    for (int i = 0; i < 3; ++i) once.call([&] { ++calls; });
    EXPECT_EQ(calls, 1);
    other.call([&] { ++calls; });
    EXPECT_EQ(calls, 2);
  });
}

// Once.Do: also if the function is another one on each call.
TEST_P(sync_once, does_not_call_another_function_on_a_later_call) {
  run([] {
    runnel::once once;
    std::string log;
    once.call([&] { log += 'a'; });
    once.call([&] { log += 'b'; });
    EXPECT_EQ(log, "a");
  });
}

// Once.Do: no call returns until the one call of the function has returned.
TEST_P(sync_once, lets_no_call_return_before_the_function_has) {
  run([] {
    runnel::once once;
    wait_group gate;
    gate.add(1);
    std::atomic<int> calls{0};
    auto f = [&] {
      ++calls;
      gate.wait();
    };
    background a([&] { once.call(f); }), b([&] { once.call(f); }), c([&] { once.call(f); });
    EXPECT_TRUE(a.stays_blocked() && b.stays_blocked() && c.stays_blocked());
    gate.done();
    EXPECT_TRUE(a.ends() && b.ends() && c.ends());
    EXPECT_EQ(calls, 1);
  });
}

// Once.Do: if the function panics it counts as having returned: later calls return without calling it.
TEST_P(sync_once, counts_a_panic_as_a_return) {
  run([] {
    runnel::once once;
    int calls = 0;
    auto f = [&] {
      ++calls;
      throw std::runtime_error("once");
    };
    EXPECT_THROW(once.call(f), std::runtime_error);
    once.call(f);
    once.call([&] { ++calls; });
    EXPECT_EQ(calls, 1);
  });
}

// OnceFunc: returns a function that calls f only once; it may be called concurrently.
TEST_P(sync_once, func_calls_its_function_once) {
  run([] {
    for (int i = 0; i < times(300); ++i) {
      std::atomic<int> calls{0};
      auto f = runnel::once_func([&] {
        runnel::yield();
        ++calls;
      });
      wait_group wg;
      for (int g = 0; g < 5; ++g) {
        wg.go([&] {
          f();
          EXPECT_EQ(calls, 1);
        });
      }
      wg.wait();
    }
  });
}

// OnceFunc: if f panics, the returned function panics with the same value on every call.
TEST_P(sync_once, func_panics_with_the_same_value_on_every_call) {
  run([] {
    int calls = 0;
    auto f =
        runnel::once_func([&] { throw std::runtime_error("call " + std::to_string(++calls)); });
    for (int i = 0; i < 3; ++i) {
      try {
        f();
        ADD_FAILURE();
      } catch (const std::runtime_error& e) {
        EXPECT_STREQ(e.what(), "call 1");
      }
    }
  });
}

// OnceValue: returns a function that calls f only once and returns its value; it may be called concurrently.
TEST_P(sync_once, value_returns_the_value_of_the_one_call) {
  run([] {
    for (int i = 0; i < times(300); ++i) {
      std::atomic<int> calls{0};
      auto f = runnel::once_value([&] {
        runnel::yield();
        return std::to_string(++calls);
      });
      wait_group wg;
      for (int g = 0; g < 5; ++g) {
        wg.go([&] { EXPECT_EQ(f(), "1"); });
      }
      wg.wait();
      EXPECT_EQ(calls, 1);
    }
  });
}

// OnceValue: if f panics, the returned function panics with the same value on every call.
TEST_P(sync_once, value_panics_with_the_same_value_on_every_call) {
  run([] {
    int calls = 0;
    auto f = runnel::once_value(
        [&]() -> int { throw std::runtime_error("call " + std::to_string(++calls)); });
    for (int i = 0; i < 3; ++i) {
      try {
        f();
        ADD_FAILURE();
      } catch (const std::runtime_error& e) {
        EXPECT_STREQ(e.what(), "call 1");
      }
    }
  });
}

}  // namespace
