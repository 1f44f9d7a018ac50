// The documentation of package sync on Pool and Map, and of atomic.Value.

#include <runnel/sync.h>

#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "programs/conformance.h"

namespace {

using conformance::background, conformance::times;
using runnel::pool, runnel::sync_map, runnel::wait_group;

CONFORMANCE(sync_pool);

// Pool.Get: when there is nothing to take, it returns what New makes.
TEST_P(sync_pool, makes_a_new_item_when_it_has_none) {
  run([] {
    int made = 0;
    pool<int> p([&] { return ++made; });
    EXPECT_EQ(p.get(), 1);
    EXPECT_EQ(p.get(), 2);
  });
}

// Pool.Get: otherwise it selects an item from the pool. Which, and even whether it looks, is its own affair; but a pool
// that never did would be none.
TEST_P(sync_pool, returns_items_that_were_put) {
  run([] {
    int made = 0;
    pool<int> p([&] { return ++made; });
    for (int i = 0; i < 1000; ++i) p.put(p.get());
    EXPECT_LT(made, 1000);
  });
}

// Pool.Get: and removes it: no two have it at the same time.
TEST_P(sync_pool, gives_no_item_to_two_at_a_time) {
  run([] {
    std::atomic<int> made{0}, wrong{0};
    std::vector<std::atomic<bool>> in_use(100'000);
    pool<std::size_t> p([&] { return static_cast<std::size_t>(++made); });
    wait_group wg;
    for (int g = 0; g < 8; ++g) {
      wg.go([&, g] {
        for (int i = 0; i < times(5000); ++i) {
          std::size_t item = p.get();
          wrong += in_use[item].exchange(true);
          if (i % 8 == g) runnel::yield();
          in_use[item] = false;
          p.put(item);
        }
      });
    }
    wg.wait();
    EXPECT_EQ(wrong, 0);
  });
}

// Pool: it is safe for simultaneous use; items are what was put, whole.
TEST_P(sync_pool, is_safe_for_use_by_multiple_goroutines_at_once) {
  run([] {
    pool<std::unique_ptr<std::string>> p([] { return std::make_unique<std::string>(50, 'x'); });
    std::atomic<int> wrong{0};
    wait_group wg;
    for (int g = 0; g < 8; ++g) {
      wg.go([&, g] {
        for (int i = 0; i < times(2000); ++i) {
          auto s = p.get();
          wrong += *s != std::string(50, (*s)[0]);
          s->assign(50, static_cast<char>('a' + g));
          if (i % 8 == g) runnel::yield();
          wrong += *s != std::string(50, static_cast<char>('a' + g));
          p.put(std::move(s));
        }
      });
    }
    wg.wait();
    EXPECT_EQ(wrong, 0);
  });
}

// Pool: an item may be removed at any time without notice: it is destroyed then, and at the latest with the pool.
TEST_P(sync_pool, owns_what_is_put) {
  run([] {
    auto token = std::make_shared<int>(0);
    {
      pool<std::shared_ptr<int>> p([] { return nullptr; });
      for (int i = 0; i < 100; ++i) p.put(token);
    }
    EXPECT_EQ(token.use_count(), 1);
  });
}

CONFORMANCE(sync_map_type);

// Map: the zero value is empty and ready for use.
TEST_P(sync_map_type, is_empty_at_first) {
  run([] {
    sync_map<int, int> m;
    EXPECT_FALSE(m.load(1).has_value());
    EXPECT_EQ(m.size(), 0U);
    m.range([](int, int) {
      ADD_FAILURE();
      return true;
    });
  });
}

// Map.Load, Map.Store: store sets the value of a key; load returns it, or tells that there is none.
TEST_P(sync_map_type, loads_what_was_stored) {
  run([] {
    sync_map<std::string, int> m;
    m.store("a", 1);
    EXPECT_EQ(m.load("a"), 1);
    m.store("a", 2);
    EXPECT_EQ(m.load("a"), 2);
    EXPECT_FALSE(m.load("b").has_value());
    EXPECT_EQ(m.size(), 1U);
  });
}

// Map.LoadOrStore: returns the existing value if there is one, and tells that it was loaded.
TEST_P(sync_map_type, load_or_store_returns_the_existing_value) {
  run([] {
    sync_map<int, std::string> m;
    m.store(1, "old");
    auto [value, loaded] = m.load_or_store(1, "new");
    EXPECT_EQ(value, "old");
    EXPECT_TRUE(loaded);
    EXPECT_EQ(m.load(1), "old");
  });
}

// Map.LoadOrStore: otherwise it stores the given one and returns that.
TEST_P(sync_map_type, load_or_store_stores_where_there_is_nothing) {
  run([] {
    sync_map<int, std::string> m;
    auto [value, loaded] = m.load_or_store(1, "new");
    EXPECT_EQ(value, "new");
    EXPECT_FALSE(loaded);
    EXPECT_EQ(m.load(1), "new");
  });
}

// The same when several do it at once: one stores, and all get its value.
TEST_P(sync_map_type, load_or_store_lets_one_of_several_store) {
  run([] {
    sync_map<int, int> m;
    for (int key = 0; key < times(2000); ++key) {
      std::atomic<int> stored{0};
      std::vector<int> got(4);
      wait_group wg;
      for (int g = 0; g < 4; ++g) {
        wg.go([&, g] {
          auto [value, loaded] = m.load_or_store(key, g);
          got[static_cast<std::size_t>(g)] = value;
          stored += !loaded;
        });
      }
      wg.wait();
      ASSERT_EQ(stored, 1);
      for (int value : got) ASSERT_EQ(value, m.load(key));
    }
  });
}

// Map.LoadAndDelete: deletes the value of a key and returns it; tells whether the key was there.
TEST_P(sync_map_type, load_and_erase_returns_what_it_erases) {
  run([] {
    sync_map<int, int> m;
    m.store(1, 5);
    EXPECT_EQ(m.load_and_erase(1), 5);
    EXPECT_FALSE(m.load(1).has_value());
    EXPECT_FALSE(m.load_and_erase(1).has_value());
  });
}

// Map.Delete: deletes the value of a key; where there is none it does nothing.
TEST_P(sync_map_type, erase_erases_the_key) {
  run([] {
    sync_map<int, int> m;
    m.store(1, 5);
    m.store(2, 6);
    m.erase(1);
    m.erase(1);
    EXPECT_FALSE(m.load(1).has_value());
    EXPECT_EQ(m.load(2), 6);
    EXPECT_EQ(m.size(), 1U);
  });
}

// Map.Swap: stores a value and returns the previous one; tells whether there was one.
TEST_P(sync_map_type, swap_returns_the_previous_value) {
  run([] {
    sync_map<int, int> m;
    EXPECT_FALSE(m.swap(1, 5).has_value());
    EXPECT_EQ(m.swap(1, 6), 5);
    EXPECT_EQ(m.load(1), 6);
  });
}

// Map.CompareAndSwap: swaps old and new if the value in the map is equal to old.
TEST_P(sync_map_type, compare_and_swap_swaps_only_an_equal_value) {
  run([] {
    sync_map<int, std::string> m;
    EXPECT_FALSE(m.compare_and_swap(1, "", "x"));  // there is none, which is equal to nothing
    EXPECT_FALSE(m.load(1).has_value());
    m.store(1, "a");
    EXPECT_FALSE(m.compare_and_swap(1, "b", "c"));
    EXPECT_EQ(m.load(1), "a");
    EXPECT_TRUE(m.compare_and_swap(1, "a", "c"));
    EXPECT_EQ(m.load(1), "c");
  });
}

// Map: its methods may be used by multiple goroutines without further coordination. Counting by compare_and_swap loses
// nothing.
TEST_P(sync_map_type, is_safe_for_use_by_multiple_goroutines_at_once) {
  run([] {
    sync_map<int, long> m;
    const int n = times(4000);
    wait_group wg;
    for (int g = 0; g < 8; ++g) {
      wg.go([&, g] {
        for (int i = 0; i < n; ++i) {
          int key = (i + g) % 5;
          for (;;) {
            auto [old, loaded] = m.load_or_store(key, 1);
            if (!loaded || m.compare_and_swap(key, old, old + 1)) break;
          }
          m.store(1000 + g, i);  // others' keys grow the map meanwhile
          m.store(g * n + i + 10'000, i);
          if (i % 3 == 0) m.erase(g * n + i + 10'000);
        }
      });
    }
    wg.wait();
    long sum = 0;
    for (int key = 0; key < 5; ++key) sum += *m.load(key);
    EXPECT_EQ(sum, 8L * n);
  });
}

// Map.Range: calls the function for each key and value present, one after the other, no key twice.
TEST_P(sync_map_type, range_visits_each_key_once) {
  run([] {
    sync_map<int, int> m;
    for (int i = 0; i < 1000; ++i) m.store(i, 2 * i);
    for (int i = 0; i < 1000; i += 10) m.erase(i);
    std::set<int> seen;
    m.range([&](int key, int value) {
      EXPECT_EQ(value, 2 * key);
      EXPECT_TRUE(seen.insert(key).second);
      return true;
    });
    EXPECT_EQ(seen.size(), 900U);
  });
}

// Map.Range: stops if the function returns false.
TEST_P(sync_map_type, range_stops_when_the_function_says_so) {
  run([] {
    sync_map<int, int> m;
    for (int i = 0; i < 100; ++i) m.store(i, i);
    int calls = 0;
    m.range([&](int, int) { return ++calls < 3; });
    EXPECT_EQ(calls, 3);
  });
}

// Map.Range: does not block other methods, and the function itself may call any of them.
TEST_P(sync_map_type, range_allows_every_method_meanwhile) {
  run([] {
    sync_map<int, int> m;
    for (int i = 0; i < 100; ++i) m.store(i, i);
    int visits = 0;
    m.range([&](int key, int) {
      if (key >= 100) return true;
      ++visits;
      m.store(key, -1);
      m.store(key + 1000, 1);
      EXPECT_TRUE(m.load(key).has_value());
      m.range([](int, int) { return false; });
      background other([&] { m.swap(key, 7), m.erase(key); });
      EXPECT_TRUE(other.ends());
      return true;
    });
    EXPECT_EQ(visits, 100);
    for (int i = 0; i < 100; ++i) EXPECT_FALSE(m.load(i).has_value());
  });
}

// Map.Range: while others change it, keys that stay are visited all the same, and none twice.
TEST_P(sync_map_type, range_visits_those_that_stay_while_others_change) {
  run([] {
    sync_map<int, int> m;
    for (int i = 0; i < 500; ++i) m.store(i, i);
    std::atomic<bool> stop{false};
    background other([&] {
      for (int i = 0; !stop; ++i) {
        m.store(1000 + i % 700, i);
        m.erase(1000 + (i * 31) % 700);
        m.store(i % 500, i % 500);
        if (i % 64 == 0) runnel::yield();
      }
    });
    for (int round = 0; round < times(100); ++round) {
      std::vector<int> visits(500, 0);
      std::set<int> changing;
      m.range([&](int key, int value) {
        if (key < 500) {
          EXPECT_EQ(value, key);
          ++visits[static_cast<std::size_t>(key)];
        } else {
          EXPECT_TRUE(changing.insert(key).second);
        }
        return true;
      });
      for (int v : visits) ASSERT_EQ(v, 1);
    }
    stop = true;
    EXPECT_TRUE(other.ends());
  });
}

// Map.Clear: deletes all entries.
TEST_P(sync_map_type, clear_erases_everything) {
  run([] {
    sync_map<int, int> m;
    for (int i = 0; i < 100; ++i) m.store(i, i);
    m.clear();
    EXPECT_EQ(m.size(), 0U);
    for (int i = 0; i < 100; ++i) EXPECT_FALSE(m.load(i).has_value());
    m.store(5, 1);
    EXPECT_EQ(m.load(5), 1);
  });
}

CONFORMANCE(atomic_value_type);

// atomic.Value: Load returns nil before the first Store.
TEST_P(atomic_value_type, holds_nothing_at_first) {
  run([] {
    runnel::atomic_value<int> v;
    EXPECT_EQ(v.load(), nullptr);
  });
}

// atomic.Value: Load returns the value of the most recent Store.
TEST_P(atomic_value_type, loads_what_was_stored_last) {
  run([] {
    runnel::atomic_value<std::string> v;
    v.store("a");
    auto a = v.load();
    v.store("b");
    EXPECT_EQ(*v.load(), "b");
    EXPECT_EQ(*a, "a");  // what was loaded stays as it was
  });
}

// atomic.Value: Swap stores and returns the previous value, nil if there was none.
TEST_P(atomic_value_type, swap_returns_the_previous_value) {
  run([] {
    runnel::atomic_value<int> v;
    EXPECT_EQ(v.swap(1), nullptr);
    EXPECT_EQ(*v.swap(2), 1);
    EXPECT_EQ(*v.load(), 2);
  });
}

// atomic.Value: CompareAndSwap stores only if the value is still the old one. Counting by it loses nothing.
TEST_P(atomic_value_type, compare_exchange_stores_only_if_the_value_is_still_the_old_one) {
  run([] {
    runnel::atomic_value<long> v;
    v.store(0);
    const int n = times(3000);
    wait_group wg;
    for (int g = 0; g < 4; ++g) {
      wg.go([&] {
        for (int i = 0; i < n; ++i) {
          auto old = v.load();
          while (!v.compare_exchange(old, *old + 1)) old = v.load();
        }
      });
    }
    wg.wait();
    EXPECT_EQ(*v.load(), 4L * n);
    auto old = v.load();
    v.store(5);
    EXPECT_FALSE(v.compare_exchange(old, 6));
    EXPECT_EQ(*v.load(), 5);
  });
}

}  // namespace
