// sync_map among many who use it at once.

#include "runnel/sync/sync_map.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "runnel/go.h"
#include "runnel/sync/mutex.h"
#include "runnel/sync/wait_group.h"
#include "support/scale.h"
#include "support/wait.h"

namespace {

using runnel::run;
using runnel::sync_map;

class sync_map_on : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(ps, sync_map_on, testing::Values(1, 8));

// Work in `goroutines` goroutines and two plain threads.
template <class Work>
void everywhere(int goroutines, Work work) {
  runnel::wait_group wg;
  for (int g = 0; g < goroutines; ++g) wg.go([&, g] { work(g); });
  std::thread one([&] { work(goroutines); });
  std::thread two([&] { work(goroutines + 1); });
  wg.wait();
  runnel::blocking([&] {
    one.join();
    two.join();
  });
}

TEST_P(sync_map_on, only_one_load_or_store_of_a_key_stores) {
  run({.max_procs = GetParam()}, [] {
    for (int round = 0; round < test::scaled(50); ++round) {
      sync_map<int, int> m;
      std::atomic<int> stored{0}, wrong{0};
      everywhere(6, [&](int seat) {
        for (int k = 0; k < 100; ++k) {
          auto r = m.load_or_store(k, seat);
          stored += !r.loaded;
          wrong += m.load(k) != r.value;
        }
      });
      EXPECT_EQ(stored, 100);
      EXPECT_EQ(wrong, 0);
      EXPECT_EQ(m.size(), 100u);
    }
  });
}

TEST_P(sync_map_on, only_one_load_and_erase_gets_a_value) {
  run({.max_procs = GetParam()}, [] {
    sync_map<int, int> m;
    for (int k = 0; k < 5000; ++k) m.store(k, k);
    std::atomic<int> erased{0};
    everywhere(6, [&](int) {
      for (int k = 0; k < 5000; ++k) erased += m.load_and_erase(k).has_value();
    });
    EXPECT_EQ(erased, 5000);
    EXPECT_EQ(m.size(), 0u);
  });
}

TEST_P(sync_map_on, compare_and_swap_loses_no_increment) {
  run({.max_procs = GetParam()}, [] {
    sync_map<int, int> m;
    for (int k = 0; k < 3; ++k) m.store(k, 0);
    const int each = test::scaled(3000);
    everywhere(6, [&](int) {
      for (int i = 0; i < each; ++i) {
        for (;;) {
          int old = *m.load(i % 3);
          if (m.compare_and_swap(i % 3, old, old + 1)) break;
        }
      }
    });
    EXPECT_EQ(*m.load(0) + *m.load(1) + *m.load(2), 8 * each);
  });
}

TEST_P(sync_map_on, swaps_hand_on_each_value_once) {
  run({.max_procs = GetParam()}, [] {
    sync_map<int, int> m;
    const int each = test::scaled(3000);
    std::atomic<long> put{0}, got{0};
    everywhere(6, [&](int seat) {
      for (int i = 0; i < each; ++i) {
        int value = seat * each + i;
        put += value;
        if (auto old = m.swap(0, value)) got += *old;
      }
    });
    EXPECT_EQ(got + m.load(0).value_or(0), put);
  });
}

TEST_P(sync_map_on, a_key_that_stays_is_found_and_visited_while_the_map_grows_and_shrinks) {
  run({.max_procs = GetParam()}, [] {
    sync_map<int, int> m;
    for (int k = 0; k < 64; ++k) m.store(-k - 1, k);
    std::atomic<int> missed{0};
    everywhere(6, [&](int seat) {
      for (int round = 0; round < test::scaled(20) + 1; ++round) {
        if (seat == 0) {
          int seen = 0;
          m.range([&](int k, int) { seen += k < 0; });
          missed += seen != 64;
        }
        for (int i = 0; i < 500; ++i) {
          m.store(seat * 1000 + i, i);
          missed += !m.load(-(i % 64) - 1).has_value();
        }
        for (int i = 0; i < 500; ++i) m.erase(seat * 1000 + i);
      }
    });
    EXPECT_EQ(missed, 0);
    EXPECT_EQ(m.size(), 64u);
  });
}

TEST_P(sync_map_on, a_store_is_ordered_before_the_load_that_sees_it) {
  run({.max_procs = GetParam()}, [] {
    sync_map<int, int> m;
    std::vector<int> plain(1000);
    runnel::wait_group wg;
    wg.go([&] {
      for (int i = 0; i < 1000; ++i) {
        plain[i] = i + 1;
        m.store(i, 0);
      }
    });
    wg.go([&] {
      for (int i = 0; i < 1000; ++i) {
        EXPECT_TRUE(test::eventually([&] { return m.load(i).has_value(); }));
        EXPECT_EQ(plain[i], i + 1);
      }
    });
    wg.wait();
  });
}

TEST(sync_map_shared, a_value_whose_copy_parks_stays_alive_meanwhile) {
  static runnel::mutex* gate;
  static std::atomic<int> copying{0};
  struct slow {
    std::string text;
    bool parks = false;
    explicit slow(std::string t, bool p) : text(std::move(t)), parks(p) {}
    slow(const slow& o) : parks(o.parks) {
      if (parks) {
        ++copying;
        gate->lock();
        gate->unlock();
      }
      text = o.text;
    }
    slow(slow&&) = default;
  };
  run({.max_procs = 2}, [] {
    runnel::mutex mu;
    gate = &mu;
    sync_map<int, slow> m;
    const std::string text(100, 'x');
    m.store(1, slow(text, true));
    mu.lock();
    runnel::wait_group wg;
    for (int i = 0; i < 4; ++i) {
      wg.go([&] { EXPECT_EQ(m.load(1)->text, text); });
    }
    ASSERT_TRUE(test::eventually([] { return copying == 4; }));
    for (int i = 0; i < 1000; ++i) m.store(1, slow("other", false));
    EXPECT_EQ(m.load(1)->text, "other");
    m.store(1, slow(text, false));
    mu.unlock();
    wg.wait();
  });
}

TEST(sync_map_shared, outlives_a_run_that_ended_in_the_middle_of_its_calls) {
  static runnel::mutex* gate;
  struct slow {
    int n = 0;
    slow() = default;
    slow(const slow& o) : n(o.n) {
      gate->lock();
      gate->unlock();
    }
    slow(slow&&) = default;
  };
  // Those that are frozen use both for ever.
  auto* m = new sync_map<int, slow>;
  auto* mu = new runnel::mutex;
  gate = mu;
  m->store(1, slow());
  run({.max_procs = 1}, [&] {
    gate->lock();
    for (int i = 0; i < 3; ++i) runnel::go([&] { (void)m->load(1); });
    for (int i = 0; i < 10; ++i) runnel::yield();
    gate->unlock();
  });
  for (int i = 0; i < 1000; ++i) m->store(1, slow());
  EXPECT_TRUE(m->erase(1));
  EXPECT_EQ(m->size(), 0u);
  static auto* kept = m;  // reachable, for the leak check
  static auto* kept_gate = mu;
  (void)kept;
  (void)kept_gate;
}

}  // namespace
