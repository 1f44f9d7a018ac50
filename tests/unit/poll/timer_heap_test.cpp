// The timer heap on one thread: order, removal, limits, against a reference.

#include "poll/timer_heap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "base/random.h"
#include "support/seed.h"

namespace runnel::poll {
namespace {

using platform::time_never;

struct timer : timer_node {
  explicit timer(std::int64_t deadline, bool can_be_removed = true) {
    when = deadline;
    cancellable = can_be_removed;
    claim = [](timer_node& n) noexcept -> void* {
      auto& self = static_cast<timer&>(n);
      ++self.claims;
      return self.refuses ? nullptr : &self;
    };
  }
  int claims = 0;
  bool refuses = false;  // somebody else was faster
};

// The deadlines of what is due at `now`, in the order it was taken.
std::vector<std::int64_t> take(timer_heap& heap, std::int64_t now, std::size_t most = 100) {
  std::vector<void*> tokens(most);
  tokens.resize(heap.take_due(now, tokens));
  std::vector<std::int64_t> deadlines;
  for (void* t : tokens) deadlines.push_back(static_cast<timer*>(t)->when);
  return deadlines;
}

using deadlines = std::vector<std::int64_t>;

TEST(timer_heap_test, begins_empty) {
  timer_heap heap;
  EXPECT_EQ(heap.next(), time_never);
  EXPECT_EQ(heap.size(), 0u);
  EXPECT_EQ(take(heap, time_never), deadlines{});
}

TEST(timer_heap_test, fires_in_the_order_of_deadlines) {
  timer_heap heap;
  timer timers[] = {timer(50), timer(10), timer(40), timer(20), timer(30)};
  for (timer& t : timers) heap.add(t);
  EXPECT_EQ(take(heap, 100), (deadlines{10, 20, 30, 40, 50}));
}

TEST(timer_heap_test, fires_what_is_due_and_no_more) {
  timer_heap heap;
  timer a(10), b(20), c(30);
  for (timer* t : {&a, &b, &c}) heap.add(*t);
  EXPECT_EQ(take(heap, 9), deadlines{});
  EXPECT_EQ(take(heap, 20), (deadlines{10, 20}));
  EXPECT_EQ(c.claims, 0);
  EXPECT_EQ(heap.size(), 1u);
}

TEST(timer_heap_test, add_tells_whether_the_timer_became_the_earliest) {
  timer_heap heap;
  timer a(20), b(30), c(10), same(10);
  EXPECT_TRUE(heap.add(a));
  EXPECT_FALSE(heap.add(b));
  EXPECT_TRUE(heap.add(c));
  EXPECT_FALSE(heap.add(same));
}

TEST(timer_heap_test, next_is_the_least_deadline_after_each_change) {
  timer_heap heap;
  timer a(20), b(10), c(30);
  heap.add(a);
  EXPECT_EQ(heap.next(), 20);
  heap.add(b);
  EXPECT_EQ(heap.next(), 10);
  heap.add(c);
  EXPECT_EQ(heap.next(), 10);
  timer_heap::remove(b);
  EXPECT_EQ(heap.next(), 20);
  take(heap, 20);
  EXPECT_EQ(heap.next(), 30);
  timer_heap::remove(c);
  EXPECT_EQ(heap.next(), time_never);
}

TEST(timer_heap_test, a_timer_knows_its_heap_while_it_is_in_it) {
  timer_heap heap;
  timer a(10), b(20);
  EXPECT_EQ(a.home, nullptr);
  heap.add(a);
  heap.add(b);
  EXPECT_EQ(a.home, &heap);
  take(heap, 10);
  EXPECT_EQ(a.home, nullptr);
  timer_heap::remove(b);
  EXPECT_EQ(b.home, nullptr);
}

TEST(timer_heap_test, a_timer_is_removed_from_any_position) {
  constexpr int count = 40;
  for (int victim = 0; victim < count; ++victim) {
    timer_heap heap;
    std::vector<std::unique_ptr<timer>> timers;
    deadlines expected;
    for (int i = 0; i < count; ++i) {
      timers.push_back(std::make_unique<timer>(i * 17 % count));
      heap.add(*timers.back());
      if (i != victim) expected.push_back(timers.back()->when);
    }
    std::ranges::sort(expected);
    ASSERT_TRUE(timer_heap::remove(*timers[victim]));
    ASSERT_EQ(take(heap, count), expected) << victim;
    ASSERT_EQ(timers[victim]->claims, 0);
  }
}

TEST(timer_heap_test, a_timer_is_removed_once) {
  timer_heap heap;
  timer a(10);
  heap.add(a);
  EXPECT_TRUE(timer_heap::remove(a));
  EXPECT_FALSE(timer_heap::remove(a));
}

TEST(timer_heap_test, a_timer_that_has_fired_cannot_be_removed) {
  timer_heap heap;
  timer a(10);
  heap.add(a);
  take(heap, 10);
  EXPECT_FALSE(timer_heap::remove(a));
  EXPECT_EQ(a.claims, 1);
}

TEST(timer_heap_test, a_timer_that_was_never_added_cannot_be_removed) {
  timer a(10);
  EXPECT_FALSE(timer_heap::remove(a));
}

TEST(timer_heap_test, a_timer_may_be_added_again) {
  timer_heap heap;
  timer a(10);
  heap.add(a);
  timer_heap::remove(a);
  a.when = 20;
  heap.add(a);
  EXPECT_EQ(take(heap, 20), deadlines{20});
  a.when = 30;
  heap.add(a);
  EXPECT_EQ(take(heap, 30), deadlines{30});
  EXPECT_EQ(a.claims, 2);
}

TEST(timer_heap_test, a_timer_whose_waiter_was_woken_otherwise_leaves_without_a_token) {
  timer_heap heap;
  timer a(10), b(20), c(30);
  b.refuses = true;
  for (timer* t : {&a, &b, &c}) heap.add(*t);
  EXPECT_EQ(take(heap, 30), (deadlines{10, 30}));
  EXPECT_EQ(b.claims, 1);
  EXPECT_EQ(b.home, nullptr);
  EXPECT_FALSE(timer_heap::remove(b));
  EXPECT_EQ(heap.size(), 0u);
}

TEST(timer_heap_test, no_more_tokens_are_stored_than_there_is_room_for) {
  timer_heap heap;
  timer timers[] = {timer(1), timer(2), timer(3), timer(4), timer(5)};
  for (timer& t : timers) heap.add(t);
  EXPECT_EQ(take(heap, 10, 0), deadlines{});
  EXPECT_EQ(take(heap, 10, 2), (deadlines{1, 2}));
  EXPECT_EQ(heap.next(), 3);
  EXPECT_EQ(timers[2].claims, 0);
  EXPECT_EQ(take(heap, 10, 3), (deadlines{3, 4, 5}));
}

TEST(timer_heap_test, no_more_are_taken_at_once_than_its_limit) {
  timer_heap heap;
  std::vector<std::unique_ptr<timer>> timers;
  for (std::size_t i = 0; i < timer_heap::take_max + 50; ++i) {
    timers.push_back(std::make_unique<timer>(7));
    heap.add(*timers.back());
  }
  EXPECT_EQ(take(heap, 7, 1000).size(), timer_heap::take_max);
  EXPECT_EQ(heap.next(), 7);
  EXPECT_EQ(take(heap, 7, 1000).size(), 50u);
}

TEST(timer_heap_test, equal_deadlines_all_fire) {
  timer_heap heap;
  std::vector<std::unique_ptr<timer>> timers;
  for (int i = 0; i < 100; ++i) {
    timers.push_back(std::make_unique<timer>(5));
    heap.add(*timers.back());
  }
  EXPECT_EQ(take(heap, 4).size(), 0u);
  EXPECT_EQ(take(heap, 5).size(), 100u);
  for (auto& t : timers) EXPECT_EQ(t->claims, 1);
}

TEST(timer_heap_test, extreme_deadlines_keep_their_order) {
  timer_heap heap;
  timer first(INT64_MIN), zero(0), last(time_never);
  for (timer* t : {&last, &zero, &first}) heap.add(*t);
  EXPECT_EQ(take(heap, -1), deadlines{INT64_MIN});
  EXPECT_EQ(take(heap, time_never - 1), deadlines{0});
  EXPECT_EQ(heap.size(), 1u);
  EXPECT_TRUE(timer_heap::remove(last));
}

TEST(timer_heap_test, moving_takes_every_timer_to_the_other_heap) {
  timer_heap from, into;
  timer a(10), b(20), c(5), d(15, false);
  from.add(a);
  from.add(b);
  from.add(d);
  into.add(c);
  from.move_all(into);
  EXPECT_EQ(from.size(), 0u);
  EXPECT_EQ(from.next(), time_never);
  EXPECT_EQ(into.next(), 5);
  EXPECT_EQ(a.home, &into);
  EXPECT_TRUE(timer_heap::remove(a));
  EXPECT_EQ(take(into, 100), (deadlines{5, 15, 20}));
}

TEST(timer_heap_test, a_heap_whose_timers_were_moved_can_be_used_again) {
  timer_heap from, into;
  timer a(10), b(20);
  from.add(a);
  from.move_all(into);
  from.add(b);
  EXPECT_EQ(from.next(), 20);
  EXPECT_EQ(take(from, 100), deadlines{20});
  EXPECT_EQ(take(into, 100), deadlines{10});
}

TEST(timer_heap_test, dropping_forgets_every_timer) {
  timer_heap heap;
  timer a(10), b(20, false);
  heap.add(a);
  heap.add(b);
  heap.drop_all();
  EXPECT_EQ(heap.size(), 0u);
  EXPECT_EQ(heap.next(), time_never);
  EXPECT_EQ(take(heap, 100), deadlines{});
  EXPECT_EQ(a.claims + b.claims, 0);
  EXPECT_FALSE(timer_heap::remove(a));
  heap.add(a);
  EXPECT_EQ(take(heap, 100), deadlines{10});
}

// Two heaps, timers of both kinds, every operation.
TEST(timer_heap_test, agrees_with_a_reference_over_random_operations) {
  std::uint64_t seed = test::seed();
  RUNNEL_TRACE_SEED(seed);
  base::random rng(seed);
  constexpr int operations = 60'000;
  timer_heap heaps[2];
  std::multimap<std::int64_t, timer*> reference[2];
  std::vector<std::unique_ptr<timer>> timers;
  std::vector<timer*> outside;
  for (int i = 0; i < 2000; ++i) {
    timers.push_back(std::make_unique<timer>(0, i % 3 != 0));
    outside.push_back(timers.back().get());
  }
  std::int64_t now = 0;
  for (int op = 0; op < operations; ++op) {
    std::size_t h = rng.below(2);
    timer_heap& heap = heaps[h];
    auto& expected = reference[h];
    std::uint32_t what = rng.below(1000);
    if (what < 500 && !outside.empty()) {
      timer* t = outside.back();
      outside.pop_back();
      t->when = now + rng.below(1000);
      t->refuses = t->cancellable && rng.below(8) == 0;
      bool earliest = expected.empty() || t->when < expected.begin()->first;
      expected.emplace(t->when, t);
      ASSERT_EQ(heap.add(*t), earliest);
    } else if (what < 800) {
      timer* t = timers[rng.below(static_cast<std::uint32_t>(timers.size()))].get();
      if (!t->cancellable) continue;
      bool inside = t->home != nullptr;
      if (inside) {
        auto& its = reference[t->home == &heaps[1]];
        auto [at, end] = its.equal_range(t->when);
        while (at != end && at->second != t) ++at;
        ASSERT_NE(at, end);
        its.erase(at);
        outside.push_back(t);
      }
      ASSERT_EQ(timer_heap::remove(*t), inside);
    } else if (what < 998) {
      now += rng.below(20);
      std::vector<void*> tokens(rng.below(12));
      tokens.resize(heap.take_due(now, tokens));
      // Whatever has fired, refusing or not, is what was due, the earliest first.
      std::vector<timer*> fired;
      for (auto& [when, t] : expected) {
        if (t->home == nullptr) fired.push_back(t);
      }
      std::size_t counted = 0;
      for (timer* t : fired) {
        ASSERT_LE(t->when, now);
        ASSERT_EQ(expected.begin()->first, t->when);
        auto at = expected.begin();
        while (at->second != t) ++at;
        ASSERT_EQ(at->first, t->when);
        expected.erase(at);
        outside.push_back(t);
        counted += !t->refuses;
      }
      ASSERT_EQ(tokens.size(), counted);
      for (std::size_t i = 1; i < tokens.size(); ++i) {
        ASSERT_LE(static_cast<timer*>(tokens[i - 1])->when, static_cast<timer*>(tokens[i])->when);
      }
    } else if (what == 998) {
      heap.move_all(heaps[1 - h]);
      reference[1 - h].merge(expected);
    } else if (rng.below(10) == 0) {
      heap.drop_all();
      for (auto& [when, t] : expected) outside.push_back(t);
      expected.clear();
    }
    for (int i = 0; i < 2; ++i) {
      ASSERT_EQ(heaps[i].size(), reference[i].size()) << op;
      ASSERT_EQ(heaps[i].next(), reference[i].empty() ? time_never : reference[i].begin()->first);
    }
  }
  for (timer_heap& heap : heaps) heap.drop_all();
}

}  // namespace
}  // namespace runnel::poll
