#include "runnel/sync/pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "runnel/go.h"
#include "runnel/sync/wait_group.h"
#include "sched/runtime.h"
#include "support/scale.h"
#include "support/wait.h"

namespace {

using runnel::pool;
using runnel::run;

// What sysmon does once a second.
void keep_house() { ++runnel::sched::rt().house_keepings; }

// Real house-keepings must not come in between: repeats f until none has, and then wants f to have been right.
// f makes `ours` of them and returns whether everything was as expected.
template <class F>
void without_others_keeping_house(std::uint32_t ours, F f) {
  auto& count = runnel::sched::rt().house_keepings;
  for (;;) {
    std::uint32_t before = count.load();
    bool right = f();
    if (count.load() != before + ours) continue;
    EXPECT_TRUE(right);
    return;
  }
}

std::atomic<int> alive{0};
struct item {
  int n;
  bool mine = true;
  explicit item(int value) : n(value) { ++alive; }
  item(item&& o) noexcept : n(o.n) { ++alive; }
  ~item() {
    EXPECT_TRUE(mine);  // not destroyed twice
    mine = false;
    --alive;
  }
};

TEST(pool, an_empty_one_calls_the_factory) {
  int made = 0;
  pool<int> p([&] { return ++made; });
  EXPECT_EQ(p.get(), 1);
  EXPECT_EQ(p.get(), 2);
  run([&] { EXPECT_EQ(p.get(), 3); });
}

class pool_on : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(ps, pool_on, testing::Values(1, 8));

TEST_P(pool_on, a_goroutine_gets_what_it_has_put) {
  run({.max_procs = GetParam()}, [] {
    runnel::lock_os_thread();
    bool same = false;
    // On another P the private value of the first is not to be had; the P rarely changes.
    ASSERT_TRUE(test::eventually([&] {
      pool<std::unique_ptr<int>> p([] { return nullptr; });
      p.put(std::make_unique<int>(5));
      auto got = p.get();
      same = got != nullptr && *got == 5;
      return same;
    }));
    runnel::unlock_os_thread();
  });
}

TEST(pool, returns_each_value_once) {
  run({.max_procs = 1}, [] {
    without_others_keeping_house(0, [] {
      int made = 0;
      pool<int> p([&] { return --made; });
      for (int i = 0; i < 100; ++i) p.put(i);
      std::set<int> seen;
      for (int i = 0; i < 100; ++i) seen.insert(p.get());
      return seen.size() == 100 && *seen.begin() == 0 && p.get() == -1;
    });
  });
}

TEST(pool, serves_plain_threads) {
  without_others_keeping_house(0, [] {
    pool<int> p([] { return -1; });
    p.put(1);
    int got = 0;
    std::thread other([&] { got = p.get(); });
    other.join();
    return got == 1 && p.get() == -1;
  });
}

TEST(pool, a_plain_thread_gets_what_goroutines_put_and_the_other_way_round) {
  run({.max_procs = 1}, [] {
    without_others_keeping_house(0, [] {
      pool<int> p([] { return -1; });
      for (int i = 0; i < 20; ++i) p.put(i);  // more than a P keeps to itself
      int got = 0;
      std::thread taker([&] {
        got = p.get();
        p.put(100);
      });
      runnel::blocking([&] { taker.join(); });
      bool found = false;
      for (int i = 0; i < 20; ++i) found |= p.get() == 100;
      return got >= 0 && found;
    });
  });
}

TEST(pool, what_nobody_takes_for_two_house_keepings_is_destroyed) {
  run({.max_procs = 1}, [] {
    without_others_keeping_house(2, [] {
      pool<item> p([] { return item(-1); });
      for (int i = 0; i < 50; ++i) p.put(item(i));
      bool right = alive == 50;
      keep_house();
      p.put(item(50));  // makes the others victims
      right &= alive == 51;
      keep_house();
      p.put(item(51));  // drops them
      return right && alive == 2;
    });
  });
  EXPECT_EQ(alive, 0);
}

TEST(pool, victims_are_still_to_be_had) {
  run({.max_procs = 1}, [] {
    without_others_keeping_house(1, [] {
      pool<item> p([] { return item(-1); });
      p.put(item(7));
      keep_house();
      return p.get().n == 7 && p.get().n == -1;
    });
  });
}

TEST(pool, one_that_was_not_used_for_long_drops_everything_at_once) {
  run({.max_procs = 1}, [] {
    without_others_keeping_house(2, [] {
      pool<item> p([] { return item(-1); });
      for (int i = 0; i < 50; ++i) p.put(item(i));
      keep_house();
      keep_house();
      int got = p.get().n;
      return got == -1 && alive == 0;
    });
  });
}

TEST(pool, sysmon_keeps_house_by_itself) {
  run([] {
    pool<item> p([] { return item(-1); });
    auto& count = runnel::sched::rt().house_keepings;
    auto before = count.load();
    p.put(item(1));
    EXPECT_TRUE(test::eventually([&] {
      p.put(p.get());
      return count.load() != before;
    }));
  });
  EXPECT_EQ(alive, 0);
}

TEST(pool, destroys_what_is_in_it) {
  run({.max_procs = 1}, [] {
    {
      pool<item> p([] { return item(0); });
      for (int i = 0; i < 40; ++i) p.put(item(i));
      keep_house();
      for (int i = 0; i < 40; ++i) p.put(item(i));
      std::thread outside([&] { p.put(item(1)); });
      runnel::blocking([&] { outside.join(); });
    }
    EXPECT_EQ(alive, 0);
  });
}

TEST(pool, a_destructor_may_use_a_pool) {
  static int destroyed;
  static pool<int>* numbers;
  struct uses {
    bool live = true;
    uses() = default;
    uses(uses&& o) noexcept : live(std::exchange(o.live, false)) {}
    ~uses() {
      if (!live) return;
      ++destroyed;
      numbers->put(1);
    }
  };
  run({.max_procs = 1}, [] {
    pool<int> ints([] { return 0; });
    numbers = &ints;
    pool<uses> p([] { return uses(); });
    for (int i = 0; i < 30; ++i) p.put(uses());
    keep_house();
    keep_house();
    p.put(uses());
    EXPECT_GE(destroyed, 30);
  });
}

TEST(pool, a_factory_may_use_the_pool_and_may_throw) {
  run([] {
    pool<int>* self = nullptr;
    int depth = 0;
    pool<int> p([&]() -> int {
      if (depth++ < 3) return self->get() + 1;
      throw std::runtime_error("no more");
    });
    self = &p;
    EXPECT_THROW(p.get(), std::runtime_error);
    p.put(9);
    EXPECT_TRUE(test::eventually([&] {
      try {
        return p.get() == 9;
      } catch (const std::runtime_error&) {
        p.put(9);
        return false;
      }
    }));
  });
}

TEST(pool, a_move_that_throws_leaves_nothing_behind) {
  static std::atomic<int> fragile_alive{0};
  struct fragile {
    bool armed;
    explicit fragile(bool a) : armed(a) { ++fragile_alive; }
    fragile(fragile&& o) : armed(o.armed) {
      if (armed) throw std::runtime_error("moved");
      ++fragile_alive;
    }
    ~fragile() { --fragile_alive; }
  };
  run({.max_procs = 1}, [] {
    pool<fragile> p([] { return fragile(false); });
    p.put(fragile(false));
    EXPECT_THROW(p.put(fragile(true)), std::runtime_error);
    (void)p.get();
  });
  EXPECT_EQ(fragile_alive, 0);
}

TEST_P(pool_on, never_gives_a_value_to_two_while_house_is_kept) {
  run({.max_procs = GetParam()}, [] {
    struct slot {
      std::atomic<int> users{0};
    };
    std::atomic<int> twice{0};
    pool<std::shared_ptr<slot>> p([] { return std::make_shared<slot>(); });
    const int each = test::scaled(20'000);
    auto work = [&](int seat) {
      for (int i = 0; i < each; ++i) {
        auto s = p.get();
        twice += s->users.fetch_add(1) != 0;
        if (i % 16 == seat) runnel::yield();
        auto t = p.get();
        twice += t->users.fetch_add(1) != 0;
        --s->users;
        p.put(std::move(s));
        --t->users;
        p.put(std::move(t));
        if (i % 512 == seat) keep_house();
      }
    };
    runnel::wait_group wg;
    for (int g = 0; g < 12; ++g) wg.go([&, g] { work(g); });
    std::thread plain([&] { work(3); });
    wg.wait();
    runnel::blocking([&] { plain.join(); });
    EXPECT_EQ(twice, 0);
  });
}

TEST_P(pool_on, leaks_nothing_and_destroys_nothing_twice) {
  run({.max_procs = GetParam()}, [] {
    pool<item> p([] { return item(1); });
    runnel::wait_group wg;
    for (int g = 0; g < 8; ++g) {
      wg.go([&] {
        for (int i = 0; i < test::scaled(5000); ++i) {
          std::vector<item> some;
          for (int k = 0; k < i % 40; ++k) some.push_back(p.get());
          for (auto& one : some) p.put(std::move(one));
          if (i % 100 == 0) keep_house();
        }
      });
    }
    wg.wait();
  });
  EXPECT_EQ(alive, 0);
}

TEST(pool, values_may_be_more_aligned_than_usual) {
  struct alignas(128) wide {
    char bytes[128];
  };
  run({.max_procs = 1}, [] {
    pool<wide> p([] { return wide{}; });
    p.put(wide{});
    wide w = p.get();
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(&w) % 128, 0u);
  });
}

}  // namespace
