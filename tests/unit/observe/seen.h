#pragma once
// Goroutines of tests of what is seen of goroutines: known by their G, and seen to have arrived where they are wanted.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "runnel/runnel.h"
#include "sched/switch.h"
#include "support/wait.h"

namespace test {

// Shared: those that never end keep it.
struct one {
  std::atomic<runnel::sched::g*> where{nullptr};
  std::atomic<std::uint64_t> id{0};

  void note() {
    id = runnel::goroutine_id();
    where = runnel::sched::current_m()->current;
  }
  bool is(runnel::sched::g_state state, runnel::sched::wait_reason reason) const {
    const runnel::sched::g* it = where;
    return it != nullptr && it->state == state && it->reason == reason;
  }
};

template <class F>
std::shared_ptr<one> go_one(F f) {
  auto made = std::make_shared<one>();
  runnel::go([made, f = std::move(f)]() mutable {
    made->note();
    f();
  });
  return made;
}

template <class F>
std::shared_ptr<one> go_waiting(runnel::sched::wait_reason why, F f) {
  auto made = go_one(std::move(f));
  EXPECT_TRUE(eventually([&] { return made->is(runnel::sched::g_state::waiting, why); }));
  return made;
}

[[gnu::noinline]] inline void wait_here(const runnel::chan<int>& c) {
  (void)c.recv();
  asm volatile("");  // no tail call
}

[[gnu::noinline]] inline void compute_here(const std::atomic<bool>& stop) {
  while (!stop) {
  }
  asm volatile("");
}

}  // namespace test
