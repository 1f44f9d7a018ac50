// Records: every block is in one hand at a time, and surplus travels through the central list in batches.

#include "memory/record_pool.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "base/random.h"
#include "support/seed.h"

namespace runnel::memory {
namespace {

constexpr std::size_t batch = record_central::batch;

// Slabs are never returned: neither are the lists that lead to them.
record_central& new_central() {
  static std::vector<std::unique_ptr<record_central>> all;
  return *all.emplace_back(std::make_unique<record_central>());
}

class record_pool_test : public testing::TestWithParam<std::size_t> {
 protected:
  std::size_t size_class() const { return GetParam(); }
  std::size_t size() const { return record_sizes[GetParam()]; }

  void* allocate(record_cache& from) { return from.allocate(size_class(), central); }
  void release(record_cache& to, void* block) { to.release(size_class(), block, central); }
  std::vector<void*> allocate_many(record_cache& from, std::size_t count) {
    std::vector<void*> blocks(count);
    for (void*& b : blocks) b = allocate(from);
    return blocks;
  }
  // Takes chains until one holds a block that is not in `known`; returns how many of `known` came.
  std::size_t take_known(const std::set<void*>& known) {
    std::size_t count = 0;
    for (;;) {
      record_chain chain = central.take(size_class());
      for (record_block* b = chain.head; b != nullptr; b = b->next) {
        if (!known.contains(b)) return count;
        ++count;
      }
    }
  }

  record_central& central = new_central();
  record_cache cache;
};

INSTANTIATE_TEST_SUITE_P(both_classes, record_pool_test, testing::Values(0, 1));

TEST_P(record_pool_test, blocks_are_aligned_to_a_cache_line) {
  for (void* b : allocate_many(cache, 1000)) {
    ASSERT_NE(b, nullptr);
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(b) % record_alignment, 0u);
  }
}

TEST_P(record_pool_test, a_block_may_be_written_from_its_first_to_its_last_byte) {
  std::vector<void*> blocks = allocate_many(cache, 2000);  // of several slabs
  for (std::size_t i = 0; i < blocks.size(); ++i) std::memset(blocks[i], int(i % 251), size());
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    auto* bytes = static_cast<unsigned char*>(blocks[i]);
    ASSERT_EQ(bytes[0], i % 251);
    ASSERT_EQ(bytes[size() - 1], i % 251);
  }
}

TEST_P(record_pool_test, no_block_is_handed_out_twice) {
  std::vector<void*> blocks = allocate_many(cache, 20'000);
  EXPECT_EQ(std::set<void*>(blocks.begin(), blocks.end()).size(), blocks.size());
}

TEST_P(record_pool_test, the_block_released_last_is_handed_out_first) {
  std::vector<void*> blocks = allocate_many(cache, 3);
  for (void* b : blocks) release(cache, b);
  EXPECT_EQ(allocate(cache), blocks[2]);
  EXPECT_EQ(allocate(cache), blocks[1]);
  EXPECT_EQ(allocate(cache), blocks[0]);
}

TEST_P(record_pool_test, a_cache_takes_a_batch_at_a_time) {
  void* first = allocate(cache);
  // Nobody else gets the rest of that batch.
  record_cache other;
  std::vector<void*> others = allocate_many(other, batch);
  std::set<void*> all(others.begin(), others.end());
  all.insert(first);
  for (void* b : allocate_many(cache, batch - 1)) all.insert(b);
  EXPECT_EQ(all.size(), 2 * batch);
}

TEST_P(record_pool_test, surplus_goes_to_the_central_list_in_batches) {
  std::vector<void*> blocks = allocate_many(cache, 6 * batch);
  std::set<void*> known(blocks.begin(), blocks.end());
  for (void* b : blocks) release(cache, b);
  // The cache keeps at most two batches; whoever else asks gets known blocks.
  std::size_t shared = take_known(known);
  EXPECT_GE(shared, 4 * batch);
  EXPECT_LT(shared, 6 * batch);
  EXPECT_EQ(shared % batch, 0u);
}

TEST_P(record_pool_test, a_flush_gives_every_block_back) {
  for (std::size_t count : {std::size_t{1}, batch - 1, batch, batch + 1, 2 * batch - 1}) {
    record_central& own = new_central();
    record_cache one;
    std::set<void*> known;
    std::vector<void*> blocks;
    for (std::size_t i = 0; i < count; ++i) blocks.push_back(one.allocate(size_class(), own));
    // The rest of the cache's batches, too.
    std::size_t all = (count + batch - 1) / batch * batch;
    for (void* b : blocks) {
      known.insert(b);
      one.release(size_class(), b, own);
    }
    one.flush(own);
    std::set<void*> came;
    while (came.size() < all) {
      record_chain chain = own.take(size_class());
      ASSERT_NE(chain.head, nullptr);
      std::size_t length = 0;
      for (record_block* b = chain.head; b != nullptr; b = b->next) {
        ++length;
        ASSERT_TRUE(came.insert(b).second) << "twice";
      }
      ASSERT_EQ(length, chain.count);
    }
    for (void* b : known) EXPECT_TRUE(came.contains(b)) << count;
  }
}

TEST_P(record_pool_test, an_empty_cache_may_be_flushed) {
  cache.flush(central);
  void* block = allocate(cache);
  EXPECT_NE(block, nullptr);
  cache.flush(central);
  cache.flush(central);
}

TEST_P(record_pool_test, what_one_cache_releases_another_uses) {
  // A producer and a consumer: without a balance, memory would grow with every round.
  record_cache consumer;
  std::set<void*> seen;
  for (int round = 0; round < 1000; ++round) {
    for (void* b : allocate_many(cache, 100)) {
      seen.insert(b);
      release(consumer, b);
    }
  }
  EXPECT_LE(seen.size(), 8 * batch);
}

TEST_P(record_pool_test, chains_of_odd_lengths_are_joined_to_batches) {
  // Single blocks, given one by one.
  std::vector<void*> blocks = allocate_many(cache, 3 * batch);
  std::set<void*> known(blocks.begin(), blocks.end());
  for (void* b : blocks) {
    auto* block = static_cast<record_block*>(b);
    block->next = nullptr;
    central.give(size_class(), {block, 1});
  }
  for (int i = 0; i < 3; ++i) {
    record_chain chain = central.take(size_class());
    EXPECT_EQ(chain.count, batch);
    std::size_t length = 0;
    for (record_block* b = chain.head; b != nullptr; b = b->next) {
      ++length;
      EXPECT_EQ(known.erase(b), 1u);
    }
    EXPECT_EQ(length, batch);
  }
  EXPECT_TRUE(known.empty());
}

TEST_P(record_pool_test, an_empty_chain_may_be_given) {
  central.give(size_class(), {});
  EXPECT_NE(central.take(size_class()).head, nullptr);
}

TEST(record_pool_classes_test, the_classes_do_not_mix) {
  record_central& central = new_central();
  record_cache cache;
  base::random rng(8);
  std::vector<std::pair<char*, std::size_t>> held;
  for (int i = 0; i < 5000; ++i) {
    std::size_t c = rng.below(2);
    if (rng.below(3) != 0 || held.empty()) {
      auto* b = static_cast<char*>(cache.allocate(c, central));
      std::memset(b, int(c) + 1, record_sizes[c]);
      held.emplace_back(b, c);
    } else {
      auto [b, its] = held[rng.below(static_cast<std::uint32_t>(held.size()))];
      ASSERT_EQ(b[0], static_cast<char>(its + 1));
      ASSERT_EQ(b[record_sizes[its] - 1], static_cast<char>(its + 1));
    }
  }
}

// Blocks are written by whoever holds them: a block in two hands is a data race, and its mark is wrong.
TEST_P(record_pool_test, threads_that_pass_blocks_around_never_share_one) {
  constexpr int threads = 4, rounds = 30'000;
  std::uint64_t seed = test::seed();
  RUNNEL_TRACE_SEED(seed);
  std::mutex lock;
  std::vector<void*> passed;  // from thread to thread
  std::vector<std::thread> pool;
  for (int t = 0; t < threads; ++t) {
    pool.emplace_back([&, t] {
      base::random rng(seed + static_cast<std::uint64_t>(t));
      record_cache own;
      std::vector<void*> held;
      auto mark = [&](void* b) { std::memset(b, t + 1, size()); };
      auto marked = [&](void* b) {
        auto* bytes = static_cast<char*>(b);
        return bytes[0] == t + 1 && bytes[size() - 1] == t + 1;
      };
      for (int r = 0; r < rounds; ++r) {
        std::uint32_t what = rng.below(16);
        if (what == 0) {
          std::lock_guard hold(lock);
          passed.insert(passed.end(), held.begin(), held.end());
          held.clear();
        } else if (what == 1) {
          {
            std::lock_guard hold(lock);
            held.insert(held.end(), passed.begin(), passed.end());
            passed.clear();
          }
          for (void* b : held) mark(b);
        } else if (what < 8 && !held.empty()) {
          void* b = held.back();
          held.pop_back();
          ASSERT_TRUE(marked(b));
          own.release(size_class(), b, central);
        } else if (what == 8 && r % 50 == 0) {
          own.flush(central);
        } else if (held.size() < 1000) {
          held.push_back(own.allocate(size_class(), central));
          ASSERT_NE(held.back(), nullptr);
          mark(held.back());
        }
      }
    });
  }
  for (auto& t : pool) t.join();
}

}  // namespace
}  // namespace runnel::memory
