// A hunt for values that are read after they were destroyed, lost or doubled: few keys, many who change them, tables
// that are rebuilt all the time.

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "runnel/go.h"
#include "runnel/sync/sync_map.h"
#include "runnel/sync/wait_group.h"
#include "support/scale.h"
#include "support/seed.h"

namespace {

using runnel::run;
using runnel::sync_map;

// Says so when it is read after its end.
struct canary {
  static inline std::atomic<long> alive{0};
  static inline std::atomic<long> dead_reads{0};
  static constexpr std::uint64_t living = 0x600dca9a11;
  std::uint64_t state = living;
  int key;
  std::string text;

  explicit canary(int k) : key(k), text(40, static_cast<char>('a' + k % 26)) { ++alive; }
  canary(const canary& o) : key(o.key), text(o.text) {
    dead_reads += o.state != living;
    ++alive;
  }
  canary(canary&& o) noexcept : key(o.key), text(std::move(o.text)) {
    dead_reads += o.state != living;
    ++alive;
  }
  ~canary() {
    dead_reads += state != living;
    state = 0xdead;
    --alive;
  }
  bool right(int k) const {
    return state == living && key == k && text == std::string(40, static_cast<char>('a' + k % 26));
  }
  bool operator==(const canary& o) const { return key == o.key; }
};

struct setting {
  int procs;
  int keys;
};

class sync_map_stress : public testing::TestWithParam<setting> {};
INSTANTIATE_TEST_SUITE_P(settings, sync_map_stress,
                         testing::Values(setting{1, 4}, setting{2, 1}, setting{2, 100},
                                         setting{8, 4}, setting{8, 3000}));

TEST_P(sync_map_stress, nothing_is_read_after_its_end_lost_or_doubled) {
  auto [procs, keys] = GetParam();
  canary::dead_reads = 0;
  std::atomic<long> wrong{0};
  run({.max_procs = procs}, [&, keys = keys] {
    sync_map<int, canary> m;
    std::vector<std::atomic<long>> balance(keys);  // entries that ought to be there
    auto work = [&](unsigned x) {
      auto next = [&] { return x ^= x << 13, x ^= x >> 17, x ^= x << 5, x; };
      for (int i = 0; i < test::scaled(40'000); ++i) {
        int k = static_cast<int>(next() % static_cast<unsigned>(keys));
        switch (next() % 16) {
          case 0:
          case 1: {
            auto old = m.swap(k, canary(k));
            if (!old) ++balance[k];
            wrong += old && !old->right(k);
            break;
          }
          case 2:
          case 3: balance[k] += !m.load_or_store(k, canary(k)).loaded; break;
          case 4: balance[k] -= m.erase(k); break;
          case 5:
          case 6: {
            auto old = m.load_and_erase(k);
            if (old) --balance[k];
            wrong += old && !old->right(k);
            break;
          }
          case 7: (void)m.compare_and_swap(k, canary(k), canary(k)); break;
          case 8: balance[k] -= m.compare_and_erase(k, canary(k)); break;
          case 9:
            if (i % 256 == 0) {
              m.range([&](int key, const canary& c) {
                wrong += !c.right(key);
                if (key % 8 == 0) runnel::yield();
              });
            }
            break;
          case 10:
            if (i % 8 == 0) runnel::yield();
            break;
          default:
            if (auto c = m.load(k)) wrong += !c->right(k);
        }
      }
    };
    unsigned seed = static_cast<unsigned>(test::seed()) | 1;
    runnel::wait_group wg;
    for (unsigned g = 0; g < 8; ++g) wg.go([&, g] { work(seed + 2 * g); });
    std::thread one([&] { work(seed + 100); });
    std::thread two([&] { work(seed + 200); });
    wg.wait();
    runnel::blocking([&] {
      one.join();
      two.join();
    });
    std::size_t there = 0;
    for (int k = 0; k < keys; ++k) {
      EXPECT_TRUE(balance[k] == 0 || balance[k] == 1) << k;
      EXPECT_EQ(m.load(k).has_value(), balance[k] == 1) << k;
      there += balance[k] == 1;
    }
    EXPECT_EQ(m.size(), there);
  });
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(canary::dead_reads, 0);
  EXPECT_EQ(canary::alive, 0);
}

TEST(sync_map_stress, is_cleared_and_filled_by_many) {
  canary::dead_reads = 0;
  std::atomic<long> wrong{0};
  run({.max_procs = 8}, [&] {
    sync_map<int, canary> m;
    runnel::wait_group wg;
    for (int g = 0; g < 8; ++g) {
      wg.go([&, g] {
        for (int i = 0; i < test::scaled(10'000); ++i) {
          int k = (i * 7 + g) % 500;
          m.store(k, canary(k));
          if (auto c = m.load(k)) wrong += !c->right(k);
          if (i % 500 == g) m.clear();
        }
      });
    }
    wg.wait();
    m.clear();
    EXPECT_EQ(m.size(), 0u);
  });
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(canary::dead_reads, 0);
  EXPECT_EQ(canary::alive, 0);
}

}  // namespace
