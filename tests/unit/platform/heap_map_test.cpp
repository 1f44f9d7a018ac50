#include "platform/heap_map.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "platform/sanitizer.h"

namespace {

using namespace runnel::platform;

constexpr bool foreign_allocator = has_asan || has_tsan;

std::uintptr_t address(const void* p) { return reinterpret_cast<std::uintptr_t>(p); }

class heap_map_test : public testing::Test {
 protected:
  void SetUp() override {
    if (foreign_allocator) GTEST_SKIP() << "the sanitizer's allocator is not glibc's";
  }
  void build() {
    ASSERT_TRUE(maps_.read());
    ASSERT_TRUE(map_.build(maps_.all()));
  }
  // What malloc returned and has to be found by every address in it.
  void expect_found(const char* p, std::size_t size) {
    heap_map::chunk first = map_.find(address(p));
    ASSERT_EQ(first.begin, address(p));
    EXPECT_GE(first.end, address(p) + size);
    EXPECT_TRUE(first.in_use);
    for (std::size_t at : {std::size_t{1}, size / 3, size / 2, size - 1}) {
      EXPECT_EQ(map_.find(address(p + at)).begin, address(p)) << "of " << size << " at " << at;
    }
  }

  mapping_list maps_;
  heap_map map_;
};

TEST_F(heap_map_test, finds_the_chunk_of_pointers_into_its_middle) {
  std::vector<std::unique_ptr<char[]>> chunks;
  std::vector<std::size_t> sizes;
  std::minstd_rand random(7);
  for (int i = 0; i < 3000; ++i) {
    std::size_t size = 8 + random() % (i % 100 == 0 ? 100'000 : 300);
    chunks.push_back(std::make_unique<char[]>(size));
    sizes.push_back(size);
    if (i % 3 == 0) {
      std::size_t gone = random() % chunks.size();
      chunks.erase(chunks.begin() + static_cast<std::ptrdiff_t>(gone));
      sizes.erase(sizes.begin() + static_cast<std::ptrdiff_t>(gone));
    }
  }
  build();
  ASSERT_FALSE(map_.regions().empty());
  for (std::size_t i = 0; i < chunks.size(); ++i) expect_found(chunks[i].get(), sizes[i]);
}

TEST_F(heap_map_test, the_last_word_that_malloc_lends_belongs_to_the_chunk) {
  auto first = std::make_unique<char[]>(24), second = std::make_unique<char[]>(24);
  std::size_t usable = malloc_usable_size(first.get());
  build();
  EXPECT_EQ(map_.find(address(first.get()) + usable - 1).begin, address(first.get()));
  EXPECT_EQ(map_.find(address(first.get())).end, address(first.get()) + usable);
}

TEST_F(heap_map_test, the_end_of_a_chunk_belongs_to_it_and_not_to_the_next) {
  auto first = std::make_unique<char[]>(24), second = std::make_unique<char[]>(24);
  build();
  EXPECT_EQ(map_.find(address(first.get()) + 24).begin, address(first.get()));
}

TEST_F(heap_map_test, finds_chunks_of_the_arenas_of_other_threads) {
  std::vector<std::unique_ptr<char[]>> chunks;
  std::thread([&] {
    for (std::size_t i = 0; i < 2000; ++i) chunks.push_back(std::make_unique<char[]>(40 + i));
  }).join();
  build();
  EXPECT_GE(map_.regions().size(), 2u);
  for (std::size_t i = 0; i < chunks.size(); ++i) expect_found(chunks[i].get(), 40 + i);
}

// More than the 64 MiB of one heap: the arena gets others, and the first ends at a fence.
TEST_F(heap_map_test, finds_chunks_in_every_heap_of_an_arena) {
  std::vector<std::unique_ptr<char[]>> chunks;
  constexpr std::size_t size = 100'000;
  std::thread([&] {
    for (std::size_t i = 0; i < 2000; ++i) {
      chunks.push_back(std::unique_ptr<char[]>(new char[size]));
    }
  }).join();
  build();
  EXPECT_GE(map_.regions().size(), 4u);
  for (auto& chunk : chunks) expect_found(chunk.get(), size);
}

TEST_F(heap_map_test, a_chunk_that_was_freed_is_not_in_use) {
  // Too large for the lists of freed chunks that look like used ones; kept from the top by what follows.
  auto* freed = static_cast<char*>(std::calloc(1, 5000));
  auto* behind = static_cast<char*>(std::calloc(1, 5000));
  std::uintptr_t at = address(freed) + 100;
  std::free(freed);
  build();
  EXPECT_FALSE(map_.find(at).in_use);
  EXPECT_TRUE(map_.find(address(behind)).in_use);
  std::free(behind);
}

TEST_F(heap_map_test, a_chunk_in_a_threads_cache_of_freed_ones_is_marked) {
  // Taken from the cache, if there was one of the size; so it has room for it.
  auto* freed = static_cast<char*>(std::malloc(88));
  std::memset(freed, 0, 88);
  std::uintptr_t at = address(freed);
  std::free(freed);
  build();
  EXPECT_FALSE(map_.mark(map_.find(at)));
}

TEST_F(heap_map_test, a_chunk_that_looks_like_a_cache_without_its_marks_is_not_marked) {
  // As large as a cache, and with one list of one chunk.
  auto chunk = std::make_unique<std::uintptr_t[]>(80),
       element = std::make_unique<std::uintptr_t[]>(3);
  reinterpret_cast<std::uint16_t*>(chunk.get())[0] = 1;
  chunk[16] = address(element.get());
  element[1] = 1;
  build();
  EXPECT_TRUE(map_.mark(map_.find(address(chunk.get()))));
  EXPECT_TRUE(map_.mark(map_.find(address(element.get()))));
}

TEST_F(heap_map_test, the_main_arena_is_found_in_the_librarys_data) {
  build();
  std::uintptr_t begin = map_.main_arena_begin(), end = map_.main_arena_end();
  ASSERT_NE(begin, 0u);
  // Its lists of freed chunks begin and end with itself.
  int of_itself = 0;
  for (std::uintptr_t at = begin; at < end; at += 8) {
    auto word = *reinterpret_cast<const std::uintptr_t*>(at);
    of_itself += word >= begin && word < end;
  }
  EXPECT_GT(of_itself, 100);
}

TEST_F(heap_map_test, a_chunk_is_marked_once) {
  auto memory = std::make_unique<char[]>(100);
  build();
  EXPECT_TRUE(map_.mark(map_.find(address(memory.get()))));
  EXPECT_FALSE(map_.mark(map_.find(address(memory.get()) + 50)));
}

TEST_F(heap_map_test, memory_that_malloc_mapped_alone_is_in_no_region) {
  auto large = std::make_unique<char[]>(40 << 20);
  build();
  EXPECT_EQ(map_.find(address(large.get())).begin, 0u);
}

TEST_F(heap_map_test, stacks_and_globals_are_in_no_region) {
  static int global = 0;
  int local = 0;
  build();
  EXPECT_EQ(map_.find(address(&global)).begin, 0u);
  EXPECT_EQ(map_.find(address(&local)).begin, 0u);
}

// A region that somebody made: chunks of 48 bytes.
class made_region : public heap_map_test {
 protected:
  static constexpr std::size_t words = 512, words_each = 6;
  void SetUp() override {
    for (std::size_t at = 0; at + 1 < words; at += words_each) {
      std::size_t left = (words - at) * 8;
      memory_[at + 1] = (left < 2 * words_each * 8 ? left : words_each * 8) | 1;
      if (left < 2 * words_each * 8) break;
    }
  }
  bool add() { return map_.add_region(address(memory_), address(memory_ + words), true); }
  alignas(16) std::uintptr_t memory_[words] = {};
};

TEST_F(made_region, is_accepted_when_its_chain_ends_where_it_must) {
  ASSERT_TRUE(add());
  EXPECT_EQ(map_.find(address(memory_ + 2)).begin, address(memory_ + 2));
  EXPECT_EQ(map_.find(address(memory_ + 9)).begin, address(memory_ + 8));
  EXPECT_EQ(map_.find(address(memory_ + words)).begin, 0u);
}

TEST_F(made_region, is_refused_when_a_size_leads_beyond_its_end) {
  memory_[words_each * 10 + 1] = 8192 | 1;
  EXPECT_FALSE(add());
  EXPECT_TRUE(map_.regions().empty());
}

TEST_F(made_region, is_refused_when_a_size_is_no_size) {
  memory_[words_each * 10 + 1] = 52 | 1;
  EXPECT_FALSE(add());
  memory_[words_each * 10 + 1] = 0;
  EXPECT_FALSE(add());
}

TEST_F(made_region, is_refused_when_a_free_chunk_does_not_say_so_itself) {
  memory_[words_each * 10 + 1] = words_each * 8;  // the one before is free
  EXPECT_FALSE(add());
  memory_[words_each * 10] = words_each * 8;
  EXPECT_TRUE(add());
  EXPECT_FALSE(map_.find(address(memory_ + words_each * 9 + 2)).in_use);
}

}  // namespace
