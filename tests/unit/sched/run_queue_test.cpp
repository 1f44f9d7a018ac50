// The run queue on the hardware: what each operation does, and that no item is lost or had twice.

#include "sched/run_queue.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <thread>
#include <vector>

#include "base/random.h"
#include "base/sync_policy.h"
#include "support/scale.h"
#include "support/seed.h"

namespace runnel::sched {
namespace {

struct item {
  int number = 0;
  long contents = 0;  // written before it is pushed, read by whoever obtains it
  std::atomic<int> obtained{0};
};

using queue = run_queue<item, base::hardware, 16>;

class run_queue_test : public testing::Test {
 protected:
  run_queue_test() : items(64) {
    for (int i = 0; i < 64; ++i) items[i].number = i;
  }
  void push(queue& to, int from, int count) {
    for (int i = from; i < from + count; ++i) ASSERT_TRUE(to.push(&items[i]));
  }
  static std::vector<int> drain(queue& from) {
    std::vector<int> numbers;
    while (item* it = from.pop()) numbers.push_back(it->number);
    return numbers;
  }
  static std::vector<int> numbers(int from, int count) {
    std::vector<int> n;
    for (int i = from; i < from + count; ++i) n.push_back(i);
    return n;
  }

  std::vector<item> items;
  queue q, thief;
};

TEST_F(run_queue_test, begins_empty) {
  EXPECT_TRUE(q.empty());
  EXPECT_EQ(q.size(), 0u);
  EXPECT_EQ(q.room(), 16u);
  EXPECT_EQ(q.pop(), nullptr);
  EXPECT_EQ(q.pop_next(), nullptr);
  EXPECT_EQ(q.look_next(), nullptr);
  EXPECT_EQ(q.peek(0), nullptr);
}

TEST_F(run_queue_test, gives_the_owner_first_in_first_out) {
  push(q, 0, 10);
  EXPECT_EQ(q.size(), 10u);
  EXPECT_EQ(drain(q), numbers(0, 10));
}

TEST_F(run_queue_test, refuses_when_the_ring_is_full) {
  push(q, 0, 16);
  EXPECT_FALSE(q.push(&items[16]));
  EXPECT_EQ(q.room(), 0u);
  EXPECT_EQ(q.size(), 16u);
  q.pop();
  EXPECT_EQ(q.room(), 1u);
  EXPECT_TRUE(q.push(&items[16]));
  EXPECT_EQ(drain(q), numbers(1, 16));
}

TEST_F(run_queue_test, goes_round_many_times) {
  for (int round = 0; round < 1000; ++round) {
    push(q, 0, 11);
    ASSERT_EQ(drain(q), numbers(0, 11));
  }
}

TEST_F(run_queue_test, the_slot_in_front_is_apart_from_the_ring) {
  push(q, 0, 2);
  EXPECT_EQ(q.replace_next(&items[2]), nullptr);
  EXPECT_EQ(q.look_next(), &items[2]);
  EXPECT_EQ(q.size(), 3u);
  EXPECT_EQ(q.pop_next(), &items[2]);
  EXPECT_EQ(q.pop_next(), nullptr);
  EXPECT_EQ(drain(q), numbers(0, 2));
}

TEST_F(run_queue_test, replacing_the_item_in_front_returns_the_old_one) {
  q.replace_next(&items[0]);
  EXPECT_EQ(q.replace_next(&items[1]), &items[0]);
  EXPECT_EQ(q.pop_next(), &items[1]);
}

TEST_F(run_queue_test, a_queue_with_an_item_in_front_alone_is_not_empty) {
  q.replace_next(&items[0]);
  EXPECT_FALSE(q.empty());
  EXPECT_EQ(q.pop(), nullptr);
}

TEST_F(run_queue_test, peek_sees_what_later_pops_return) {
  push(q, 0, 3);
  EXPECT_EQ(q.peek(0), &items[0]);
  EXPECT_EQ(q.peek(2), &items[2]);
  EXPECT_EQ(q.peek(3), nullptr);
  EXPECT_EQ(q.size(), 3u);
}

TEST_F(run_queue_test, the_older_half_of_a_full_ring_is_popped_at_once) {
  push(q, 0, 16);
  item* out[8];
  ASSERT_EQ(q.pop_half(out), 8u);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(out[i], &items[i]);
  EXPECT_EQ(drain(q), numbers(8, 8));
}

TEST_F(run_queue_test, no_half_is_popped_from_a_ring_that_has_room) {
  push(q, 0, 15);
  item* out[8];
  EXPECT_EQ(q.pop_half(out), 0u);
  EXPECT_EQ(q.size(), 15u);
}

TEST_F(run_queue_test, a_thief_takes_the_older_half_and_gets_its_youngest_at_once) {
  push(q, 0, 10);
  EXPECT_EQ(thief.steal_from(q), &items[4]);
  EXPECT_EQ(drain(thief), numbers(0, 4));
  EXPECT_EQ(drain(q), numbers(5, 5));
}

TEST_F(run_queue_test, a_thief_rounds_its_half_up) {
  push(q, 0, 1);
  EXPECT_EQ(thief.steal_from(q), &items[0]);
  EXPECT_TRUE(thief.empty());
  EXPECT_TRUE(q.empty());
  push(q, 0, 3);
  EXPECT_EQ(thief.steal_from(q), &items[1]);
  EXPECT_EQ(drain(thief), numbers(0, 1));
  EXPECT_EQ(drain(q), numbers(2, 1));
}

TEST_F(run_queue_test, a_thief_takes_half_of_a_full_ring) {
  push(q, 0, 16);
  EXPECT_EQ(thief.steal_from(q), &items[7]);
  EXPECT_EQ(thief.size(), 7u);
  EXPECT_EQ(q.size(), 8u);
}

TEST_F(run_queue_test, a_thief_finds_nothing_in_an_empty_ring_and_leaves_the_front_alone) {
  EXPECT_EQ(thief.steal_from(q), nullptr);
  q.replace_next(&items[0]);
  EXPECT_EQ(thief.steal_from(q), nullptr);
  EXPECT_EQ(q.look_next(), &items[0]);
}

TEST_F(run_queue_test, the_item_in_front_is_stolen_if_it_still_is_the_one_seen) {
  q.replace_next(&items[0]);
  EXPECT_FALSE(q.steal_next(&items[1]));
  EXPECT_TRUE(q.steal_next(&items[0]));
  EXPECT_FALSE(q.steal_next(&items[0]));
  EXPECT_EQ(q.pop_next(), nullptr);
}

TEST_F(run_queue_test, agrees_with_a_deque_over_random_operations) {
  std::uint64_t seed = test::seed();
  RUNNEL_TRACE_SEED(seed);
  base::random rng(seed);
  std::deque<item*> reference;
  for (int step = 0; step < 50'000; ++step) {
    item* it = &items[rng.below(64)];
    std::uint32_t what = rng.below(20);
    if (what < 10) {
      bool room = reference.size() < 16;
      ASSERT_EQ(q.push(it), room);
      if (room) reference.push_back(it);
    } else if (what < 18) {
      item* expected = reference.empty() ? nullptr : reference.front();
      ASSERT_EQ(q.pop(), expected);
      if (expected != nullptr) reference.pop_front();
    } else if (what == 18) {
      std::size_t n = reference.size() - reference.size() / 2;
      item* last = thief.steal_from(q);
      ASSERT_EQ(last != nullptr, n > 0);
      for (std::size_t i = 0; i < n; ++i) {
        ASSERT_EQ(i + 1 < n ? thief.pop() : last, reference.front());
        reference.pop_front();
      }
      ASSERT_EQ(thief.pop(), nullptr);
    } else {
      item* out[8];
      std::uint32_t n = q.pop_half(out);
      ASSERT_EQ(n, reference.size() == 16 ? 8u : 0u);
      for (std::uint32_t i = 0; i < n; ++i) {
        ASSERT_EQ(out[i], reference.front());
        reference.pop_front();
      }
    }
    ASSERT_EQ(q.size(), reference.size());
    ASSERT_EQ(q.room(), 16 - reference.size());
  }
}

// One owner and three thieves: who obtains an item reads what its producer wrote, and writes it himself.
class run_queue_storm : public testing::Test {
 protected:
  static constexpr int thieves = 3;

  void obtain(item* it) {
    EXPECT_EQ(it->contents, it->number);
    it->contents = -1;
    EXPECT_EQ(it->obtained.fetch_add(1, std::memory_order_relaxed), 0);
    left.fetch_sub(1, std::memory_order_relaxed);
  }
  void steal(queue& own, bool front) {
    while (left.load(std::memory_order_relaxed) > 0) {
      if (item* it = own.steal_from(victim)) {
        obtain(it);
        while (item* more = own.pop()) obtain(more);
      } else if (item* next = victim.look_next(); front && next != nullptr) {
        if (victim.steal_next(next)) obtain(next);
      } else {
        sched_yield();
      }
    }
  }
  // `produce` is the owner: it puts every item in and helps to empty the queue.
  template <class Produce>
  void run(int count, bool front, Produce produce) {
    std::vector<item> items(static_cast<std::size_t>(count));
    left = count;
    std::vector<std::thread> pool;
    std::vector<queue> queues(thieves);
    for (queue& own : queues) pool.emplace_back([&, front] { steal(own, front); });
    for (int i = 0; i < count; ++i) {
      items[i].number = i;
      items[i].contents = i;
      produce(&items[i]);
    }
    while (left.load(std::memory_order_relaxed) > 0) {
      item* it = victim.pop_next();
      if (it == nullptr) it = victim.pop();
      if (it != nullptr) obtain(it);
    }
    for (auto& t : pool) t.join();
    for (item& it : items) ASSERT_EQ(it.obtained, 1);
    EXPECT_TRUE(victim.empty());
  }
  void push(item* it) {
    while (!victim.push(it)) {
      item* out[queue::capacity / 2];
      std::uint32_t n = victim.pop_half(out);
      for (std::uint32_t i = 0; i < n; ++i) obtain(out[i]);
    }
  }

  queue victim;
  std::atomic<int> left{0};
};

TEST_F(run_queue_storm, every_item_is_obtained_once_by_the_owner_or_a_thief) {
  base::random rng(1);
  run(test::scaled(1'000'000), false, [&](item* it) {
    push(it);
    if (rng.below(3) == 0) {
      if (item* mine = victim.pop()) obtain(mine);
    }
  });
}

TEST_F(run_queue_storm, every_item_is_obtained_once_through_the_slot_in_front) {
  base::random rng(2);
  run(test::scaled(1'000'000), true, [&](item* it) {
    if (item* kicked = victim.replace_next(it)) push(kicked);
    if (rng.below(3) == 0) {
      item* mine = victim.pop_next();
      if (mine == nullptr) mine = victim.pop();
      if (mine != nullptr) obtain(mine);
    }
  });
}

TEST_F(run_queue_storm, an_idle_owner_loses_everything_to_the_thieves) {
  run(test::scaled(300'000), true, [&](item* it) {
    while (!victim.push(it)) sched_yield();
  });
}

}  // namespace
}  // namespace runnel::sched
