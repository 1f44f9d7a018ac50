#include "runnel/sync/sync_map.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <set>
#include <stdexcept>
#include <string>

#include "runnel/go.h"
#include "runnel/sync/mutex.h"
#include "runnel/sync/wait_group.h"
#include "support/scale.h"

namespace {

using runnel::run;
using runnel::sync_map;

TEST(sync_map, an_empty_one_has_nothing) {
  sync_map<int, int> m;
  EXPECT_EQ(m.load(1), std::nullopt);
  EXPECT_EQ(m.load_and_erase(1), std::nullopt);
  EXPECT_FALSE(m.erase(1));
  EXPECT_FALSE(m.compare_and_swap(1, 0, 1));
  EXPECT_FALSE(m.compare_and_erase(1, 0));
  EXPECT_EQ(m.size(), 0u);
  m.range([](int, int) { FAIL(); });
  m.clear();
}

TEST(sync_map, loads_what_was_stored_last) {
  sync_map<std::string, std::string> m;
  m.store("a", "one");
  m.store("b", "two");
  m.store("a", "three");
  EXPECT_EQ(m.load("a"), "three");
  EXPECT_EQ(m.load("b"), "two");
  EXPECT_EQ(m.load("c"), std::nullopt);
  EXPECT_EQ(m.size(), 2u);
}

TEST(sync_map, load_or_store_keeps_what_is_there) {
  sync_map<int, std::string> m;
  auto first = m.load_or_store(1, "x");
  EXPECT_EQ(first.value, "x");
  EXPECT_FALSE(first.loaded);
  auto second = m.load_or_store(1, "y");
  EXPECT_EQ(second.value, "x");
  EXPECT_TRUE(second.loaded);
}

TEST(sync_map, load_and_erase_returns_the_value_once) {
  sync_map<int, int> m;
  m.store(1, 5);
  EXPECT_EQ(m.load_and_erase(1), 5);
  EXPECT_EQ(m.load_and_erase(1), std::nullopt);
  EXPECT_EQ(m.load(1), std::nullopt);
  EXPECT_EQ(m.size(), 0u);
}

TEST(sync_map, swap_returns_the_value_before) {
  sync_map<int, int> m;
  EXPECT_EQ(m.swap(1, 5), std::nullopt);
  EXPECT_EQ(m.swap(1, 6), 5);
  EXPECT_EQ(m.load(1), 6);
}

TEST(sync_map, compare_and_swap_wants_the_expected_value) {
  sync_map<int, int> m;
  m.store(1, 5);
  EXPECT_FALSE(m.compare_and_swap(1, 4, 9));
  EXPECT_EQ(m.load(1), 5);
  EXPECT_TRUE(m.compare_and_swap(1, 5, 9));
  EXPECT_EQ(m.load(1), 9);
}

TEST(sync_map, compare_and_erase_wants_the_expected_value) {
  sync_map<int, int> m;
  m.store(1, 5);
  EXPECT_FALSE(m.compare_and_erase(1, 4));
  EXPECT_EQ(m.load(1), 5);
  EXPECT_TRUE(m.compare_and_erase(1, 5));
  EXPECT_EQ(m.load(1), std::nullopt);
}

TEST(sync_map, grows_and_agrees_with_a_plain_map_whatever_is_done) {
  sync_map<int, int> m;
  std::map<int, int> model;
  unsigned x = 1;
  auto next = [&] { return x = x * 1664525 + 1013904223, x >> 8; };
  for (int i = 0; i < test::scaled(300'000); ++i) {
    int k = static_cast<int>(next() % (i < 100'000 ? 5000 : 50));
    auto there = model.find(k);
    switch (next() % 6) {
      case 0:
        m.store(k, i);
        model[k] = i;
        break;
      case 1: {
        auto r = m.load_or_store(k, i);
        EXPECT_EQ(r.loaded, there != model.end());
        if (there == model.end()) model[k] = i;
        EXPECT_EQ(r.value, model[k]);
        break;
      }
      case 2: EXPECT_EQ(m.erase(k), model.erase(k) == 1); break;
      case 3: {
        auto got = m.load_and_erase(k);
        EXPECT_EQ(got.has_value(), there != model.end());
        if (got) {
          EXPECT_EQ(*got, there->second);
          model.erase(k);
        }
        break;
      }
      default: {
        auto got = m.load(k);
        ASSERT_EQ(got.has_value(), there != model.end());
        if (got) {
          EXPECT_EQ(*got, there->second);
        }
      }
    }
    ASSERT_EQ(m.size(), model.size());
  }
  std::map<int, int> seen;
  m.range([&](int k, int v) { EXPECT_TRUE(seen.emplace(k, v).second); });
  EXPECT_EQ(seen, model);
}

TEST(sync_map, keys_of_one_hash_are_kept_apart) {
  struct same_hash {
    std::size_t operator()(int) const { return 7; }
  };
  sync_map<int, int, same_hash> m;
  for (int i = 0; i < 200; ++i) m.store(i, i * 2);
  for (int i = 0; i < 200; i += 2) EXPECT_TRUE(m.erase(i));
  for (int i = 0; i < 200; i += 4) m.store(i, -i);
  for (int i = 0; i < 200; ++i) {
    auto expected = i % 2 == 1   ? std::optional(i * 2)
                    : i % 4 == 0 ? std::optional(-i)
                                 : std::nullopt;
    EXPECT_EQ(m.load(i), expected) << i;
  }
}

TEST(sync_map, hash_and_equal_may_be_the_users) {
  struct text_hash {
    std::size_t operator()(const std::string& s) const { return s.size(); }
  };
  struct same_size {
    bool operator()(const std::string& a, const std::string& b) const {
      return a.size() == b.size();
    }
  };
  sync_map<std::string, int, text_hash, same_size> m;
  m.store("abc", 1);
  m.store("xyz", 2);
  EXPECT_EQ(m.load("qqq"), 2);
  EXPECT_EQ(m.size(), 1u);
}

TEST(sync_map, range_stops_when_told_to) {
  sync_map<int, int> m;
  for (int i = 0; i < 100; ++i) m.store(i, i);
  int visited = 0;
  m.range([&](int, int) { return ++visited < 10; });
  EXPECT_EQ(visited, 10);
}

TEST(sync_map, range_lets_its_function_change_the_map_and_visits_no_key_twice) {
  sync_map<int, int> m;
  for (int i = 0; i < 1000; ++i) m.store(i, i);
  std::set<int> seen;
  m.range([&](int k, int) {
    EXPECT_TRUE(seen.insert(k).second);
    m.erase(k);
    m.store(k, -1);
    m.store(k + 1'000'000, 0);
  });
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(seen.contains(i)) << i;
}

TEST(sync_map, range_does_not_visit_what_its_function_has_erased) {
  sync_map<int, int> m;
  for (int i = 0; i < 1000; ++i) m.store(i, i);
  int visited = 0;
  m.range([&](int, int) {
    ++visited;
    m.clear();
  });
  EXPECT_EQ(visited, 1);
  EXPECT_EQ(m.size(), 0u);
}

TEST(sync_map, range_keeps_nobody_waiting_while_its_function_is_parked) {
  run({.max_procs = 1}, [] {
    sync_map<int, std::string> m;
    const std::string value(100, 'v');
    for (int i = 0; i < 10; ++i) m.store(i, value);
    runnel::mutex gate;
    gate.lock();
    runnel::wait_group wg;
    wg.go([&] {
      m.range([&](int, const std::string& s) {
        gate.lock();
        gate.unlock();
        EXPECT_EQ(s, value);
      });
    });
    runnel::yield();
    for (int round = 0; round < 1000; ++round) {
      for (int i = 0; i < 10; ++i) m.store(i, value);
    }
    m.clear();
    EXPECT_EQ(m.size(), 0u);
    gate.unlock();
    wg.wait();
  });
}

TEST(sync_map, clear_erases_everything_and_the_map_can_be_used_again) {
  sync_map<int, int> m;
  for (int i = 0; i < 500; ++i) m.store(i, i);
  m.clear();
  EXPECT_EQ(m.size(), 0u);
  EXPECT_EQ(m.load(3), std::nullopt);
  m.store(3, 4);
  EXPECT_EQ(m.load(3), 4);
  EXPECT_EQ(m.size(), 1u);
}

// Lifetimes.

struct counted {
  static inline std::atomic<int> alive{0};
  static inline std::atomic<int> broken{0};
  int n;
  int guard = 0x600d;
  counted(int value) : n(value) { ++alive; }
  counted(const counted& o) : n(o.n) {
    broken += o.guard != 0x600d;
    ++alive;
  }
  ~counted() {
    broken += guard != 0x600d;
    guard = 0xbad;
    --alive;
  }
  bool operator==(const counted& o) const {
    broken += guard != 0x600d || o.guard != 0x600d;
    return n == o.n;
  }
};
struct counted_hash {
  std::size_t operator()(const counted& c) const { return std::hash<int>()(c.n); }
};

TEST(sync_map, destroys_each_key_and_value_once) {
  {
    sync_map<counted, counted, counted_hash> m;
    for (int round = 0; round < 20; ++round) {
      for (int i = 0; i < 300; ++i) {
        m.store(i, i);
        m.load_or_store(i + 1, i);
        m.swap(i, i + 1);
        m.compare_and_swap(i, i + 1, i);
        m.compare_and_swap(i, -1, i);
        if (i % 3 == 0) m.erase(i);
        if (i % 7 == 0) m.load_and_erase(i + 1);
      }
      if (round == 10) m.clear();
      m.range([](const counted&, const counted&) {});
    }
    EXPECT_GE(counted::alive, 2 * static_cast<int>(m.size()));
  }
  EXPECT_EQ(counted::alive, 0);
  EXPECT_EQ(counted::broken, 0);
}

TEST(sync_map, keeps_a_bounded_number_of_values_that_were_replaced) {
  sync_map<int, counted> m;
  for (int i = 0; i < 100'000; ++i) m.store(i % 10, i);
  EXPECT_LT(counted::alive, 10 * 200);
}

TEST(sync_map, range_gives_its_values_back_when_its_function_throws) {
  {
    sync_map<int, counted> m;
    for (int i = 0; i < 1000; ++i) m.store(i, i);
    EXPECT_THROW(m.range([](int, const counted&) { throw std::runtime_error("enough"); }),
                 std::runtime_error);
  }
  EXPECT_EQ(counted::alive, 0);
}

TEST(sync_map, is_as_it_was_if_copying_a_value_throws) {
  static bool throwing;
  throwing = false;
  struct fragile {
    int n;
    fragile(int value) : n(value) {}
    fragile(const fragile& o) : n(o.n) {
      if (throwing) throw std::runtime_error("copied");
    }
    fragile(fragile&& o) noexcept : n(o.n) {}
  };
  sync_map<int, fragile> m;
  m.store(1, fragile(1));
  throwing = true;
  EXPECT_THROW(m.load(1), std::runtime_error);
  EXPECT_THROW(m.load_and_erase(1), std::runtime_error);
  EXPECT_THROW(m.swap(1, fragile(2)), std::runtime_error);
  EXPECT_THROW(m.load_or_store(2, fragile(2)), std::runtime_error);
  throwing = false;
  EXPECT_EQ(m.load(1)->n, 1);
  EXPECT_EQ(m.size(), 1u);
}

TEST(sync_map, a_values_destructor_may_use_the_map) {
  static sync_map<int, int>* other;
  struct last_words {
    int n;
    bool live = true;
    explicit last_words(int value) : n(value) {}
    last_words(last_words&& o) noexcept : n(o.n), live(std::exchange(o.live, false)) {}
    last_words(const last_words& o) = default;
    ~last_words() {
      if (live) other->store(n, n);
    }
  };
  sync_map<int, int> ints;
  other = &ints;
  {
    sync_map<int, last_words> m;
    for (int i = 0; i < 1000; ++i) m.store(i % 5, last_words(i));
  }
  EXPECT_EQ(ints.size(), 1000u);
}

}  // namespace
