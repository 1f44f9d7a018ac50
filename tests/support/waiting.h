#pragma once
// Goroutines that are known to wait: each has parked in the operation it was started for before the test goes on.

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <utility>

#include "runnel/sync.h"
#include "sched/switch.h"
#include "support/wait.h"

namespace test {

class waiting_goroutines {
 public:
  // Returns when f waits: in the queue it has joined, with nothing of the runtime's held.
  template <class F>
  void go(F f) {
    go_until(std::move(f), [](runnel::sched::wait_reason) { return true; });
  }
  // When it waits for that reason: for a goroutine that waits for others before.
  template <class F>
  void go(runnel::sched::wait_reason why, F f) {
    go_until(std::move(f), [why](runnel::sched::wait_reason now) { return now == why; });
  }

  void wait() { all_.wait(); }
  bool end_soon() { return all_.wait_for(20s); }

 private:
  template <class F, class Right>
  void go_until(F f, Right right) {
    // Shared: the goroutine may end after the test has given up.
    auto place = std::make_shared<std::atomic<runnel::sched::g*>>(nullptr);
    all_.go([place, f = std::move(f)]() mutable {
      *place = runnel::sched::current_m()->current;
      f();
    });
    EXPECT_TRUE(eventually([&] {
      runnel::sched::g* who = *place;
      return who != nullptr && who->state == runnel::sched::g_state::waiting &&
             right(who->reason.load());
    })) << "does not wait";
  }

  runnel::wait_group all_;
};

}  // namespace test
