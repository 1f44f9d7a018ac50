// Removing against firing, on many threads: whoever removes a node owns its memory the moment remove() returns.
// The nodes are freed or reused at once, so a late touch is an error under AddressSanitizer and ThreadSanitizer.

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "base/random.h"
#include "platform/clock.h"
#include "poll/timer_heap.h"
#include "support/scale.h"
#include "support/seed.h"

namespace runnel::poll {
namespace {

// One waiter of one wait; outlives the node, as a goroutine outlives the wait on its stack.
struct wait_record {
  std::atomic<int> winner{0};  // 0: nobody yet, 1: the timer, 2: the signal
  std::atomic<int> tokens{0};
};

struct wait_node {
  timer_node node;
  wait_record* record;
};

void* claim(timer_node& node) noexcept {
  wait_record* record = reinterpret_cast<wait_node&>(node).record;
  int nobody = 0;
  return record->winner.compare_exchange_strong(nobody, 1) ? record : nullptr;
}

struct storm {
  timer_heap heap;
  std::atomic<bool> stop{false};
  std::atomic<long> fired{0};

  // What a P does.
  void fire() {
    void* tokens[16];
    while (!stop.load(std::memory_order_relaxed)) {
      std::size_t n = heap.take_due(platform::nanotime(), tokens);
      for (std::size_t i = 0; i < n; ++i) ++static_cast<wait_record*>(tokens[i])->tokens;
      fired += static_cast<long>(n);
      if (n == 0) sched_yield();
    }
  }

  // What a waiter does that is signalled sooner or later than its deadline.
  void wait(wait_node& node, wait_record& record, base::random& rng) {
    node.record = &record;
    node.node.when = platform::nanotime() + rng.below(30'000);
    node.node.claim = &claim;
    node.node.cancellable = true;
    heap.add(node.node);
    for (std::uint32_t spin = rng.below(200); spin > 0; --spin) base::hardware::pause();
    int nobody = 0;
    bool signalled = record.winner.compare_exchange_strong(nobody, 2);
    bool removed = timer_heap::remove(node.node);
    if (removed) {
      EXPECT_TRUE(signalled);  // a timer that has claimed has left the heap
      EXPECT_EQ(record.winner, 2);
    }
  }

  // Runs waiters and firing threads, and checks that every timer that won gave one token.
  template <class Waiter>
  void run(int rounds, Waiter waiter) {
    constexpr int waiters = 3, firing = 2;
    std::uint64_t seed = test::seed();
    RUNNEL_TRACE_SEED(seed);
    std::vector<wait_record> records(static_cast<std::size_t>(waiters * rounds));
    std::vector<std::thread> pool, fires;
    for (int i = 0; i < firing; ++i) fires.emplace_back([this] { fire(); });
    for (int i = 0; i < waiters; ++i) {
      pool.emplace_back([&, i] {
        base::random rng(seed + static_cast<std::uint64_t>(i));
        for (int r = 0; r < rounds; ++r) waiter(records[i * rounds + r], rng);
      });
    }
    for (auto& t : pool) t.join();
    stop = true;
    for (auto& t : fires) t.join();
    EXPECT_EQ(heap.size(), 0u);
    EXPECT_EQ(heap.next(), platform::time_never);
    long won = 0;
    for (wait_record& r : records) {
      ASSERT_EQ(r.tokens, r.winner == 1 ? 1 : 0);
      won += r.winner == 1;
    }
    EXPECT_EQ(fired, won);
  }
};

TEST(timer_race_test, a_removed_node_may_be_freed_at_once) {
  storm s;
  s.run(test::scaled(50'000), [&](wait_record& record, base::random& rng) {
    auto node = std::make_unique<wait_node>();
    s.wait(*node, record, rng);
  });
}

TEST(timer_race_test, a_removed_node_may_be_overwritten_at_once) {
  storm s;
  s.run(test::scaled(50'000), [&](wait_record& record, base::random& rng) {
    alignas(wait_node) char memory[sizeof(wait_node)];
    auto* node = new (memory) wait_node{};
    s.wait(*node, record, rng);
    node->~wait_node();
    std::memset(memory, 0xdd, sizeof memory);
    asm volatile("" ::"r"(memory) : "memory");
  });
}

TEST(timer_race_test, timers_that_nobody_removes_all_fire_once) {
  storm s;
  constexpr int count = 20'000;
  std::vector<wait_node> nodes(count);
  std::vector<wait_record> records(count);
  std::vector<std::thread> fires;
  for (int i = 0; i < 3; ++i) fires.emplace_back([&] { s.fire(); });
  base::random rng(9);
  for (int i = 0; i < count; ++i) {
    nodes[i].record = &records[i];
    nodes[i].node.when = platform::nanotime() + rng.below(100'000);
    nodes[i].node.claim = &claim;
    s.heap.add(nodes[i].node);
  }
  while (s.heap.size() != 0) sched_yield();
  s.stop = true;
  for (auto& t : fires) t.join();
  for (wait_record& r : records) ASSERT_EQ(r.tokens, 1);
}

TEST(timer_race_test, next_may_be_read_while_others_change_the_heap) {
  storm s;
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    while (!stop.load(std::memory_order_relaxed)) {
      std::int64_t next = s.heap.next();
      ASSERT_TRUE(next == platform::time_never || (next >= 1 && next <= 1000)) << next;
    }
  });
  base::random rng(10);
  for (int i = 0; i < test::scaled(100'000); ++i) {
    timer_node a, b;
    a.cancellable = b.cancellable = true;
    a.when = 1 + rng.below(1000);
    b.when = 1 + rng.below(1000);
    s.heap.add(a);
    s.heap.add(b);
    timer_heap::remove(a);
    timer_heap::remove(b);
  }
  stop = true;
  reader.join();
}

}  // namespace
}  // namespace runnel::poll
