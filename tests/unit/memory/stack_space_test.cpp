// Stack slots: their shape, their guards, and what happens to those that come back.

#include "memory/stack_space.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "platform/address_space.h"
#include "support/fresh_process.h"
#include "support/memory_probe.h"

namespace runnel::memory {
namespace {

using test::memory_probe;
using test::resident_pages;

constexpr std::size_t slot_size = 64 << 10;

// Arenas stay reserved until the process ends, and are searched for leaks: so does a space that the tests use.
stack_space& new_space(std::size_t size = slot_size) {
  static std::vector<std::unique_ptr<stack_space>> spaces;
  return *spaces.emplace_back(std::make_unique<stack_space>(size));
}

std::vector<stack_slot> take_many(stack_space& space, std::size_t count) {
  std::vector<stack_slot> slots(count);
  for (stack_slot& s : slots) s = space.take();
  return slots;
}

std::size_t resident(const stack_slot& s) { return resident_pages(s.lowest(), s.size - s.guard); }

TEST(stack_space_test, a_slot_is_a_power_of_two_and_at_least_the_smallest) {
  EXPECT_EQ(stack_space::slot_size_for(0), stack_space::smallest_slot);
  EXPECT_EQ(stack_space::slot_size_for(1), stack_space::smallest_slot);
  EXPECT_EQ(stack_space::slot_size_for(32 << 10), std::size_t{32} << 10);
  EXPECT_EQ(stack_space::slot_size_for((32 << 10) + 1), std::size_t{64} << 10);
  EXPECT_EQ(stack_space::slot_size_for(200'000), std::size_t{256} << 10);
  EXPECT_EQ(stack_space::slot_size_for(256 << 10), std::size_t{256} << 10);
}

TEST(stack_space_test, a_wish_beyond_all_measure_becomes_a_slot_that_no_machine_has) {
  EXPECT_EQ(stack_space::slot_size_for(SIZE_MAX), std::size_t{1} << 40);
}

TEST(stack_space_test, a_slot_has_the_size_asked_for) {
  for (std::size_t size : {std::size_t{32} << 10, std::size_t{256} << 10, std::size_t{64} << 20}) {
    stack_space& space = new_space(size);
    EXPECT_EQ(space.slot_size(), size);
    stack_slot slot = space.take();
    ASSERT_NE(slot.begin, nullptr);
    EXPECT_EQ(slot.size, size);
    EXPECT_EQ(slot.top() - slot.begin, static_cast<std::ptrdiff_t>(size));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(slot.top()) % platform::page_size(), 0u);
    EXPECT_GE(slot.guard, platform::page_size());
    EXPECT_LE(slot.guard, size / 2);
  }
}

TEST(stack_space_test, the_guard_faults_and_everything_above_it_is_writable) {
  memory_probe probe;
  stack_space& space = new_space();
  for (stack_slot slot : take_many(space, 5)) {
    for (char* at = slot.begin; at < slot.lowest(); at += platform::page_size()) {
      ASSERT_FALSE(probe.readable(at));
      ASSERT_FALSE(probe.writable(at));
    }
    EXPECT_FALSE(probe.readable(slot.lowest() - 1));
    std::memset(slot.lowest(), 1, slot.size - slot.guard);
    EXPECT_TRUE(probe.writable(slot.lowest()));
    EXPECT_TRUE(probe.writable(slot.top() - 1));
  }
}

TEST(stack_space_death_test, touching_the_guard_kills) {
  stack_slot slot = new_space().take();
  EXPECT_DEATH(*static_cast<volatile char*>(slot.lowest() - 1) = 1, "");
}

TEST(stack_space_test, a_new_slot_has_no_page_in_memory) {
  for (stack_slot slot : take_many(new_space(), 100)) ASSERT_EQ(resident(slot), 0u);
}

TEST(stack_space_test, slots_do_not_overlap) {
  std::vector<stack_slot> slots = take_many(new_space(), 3000);
  std::ranges::sort(slots, {}, &stack_slot::begin);
  for (std::size_t i = 1; i < slots.size(); ++i) ASSERT_LE(slots[i - 1].top(), slots[i].begin);
}

TEST(stack_space_test, every_slot_has_a_colour_of_its_own) {
  std::vector<stack_slot> slots = take_many(new_space(), 100);
  for (std::size_t i = 0; i < slots.size(); ++i) EXPECT_EQ(slots[i].colour, i);
}

TEST(stack_space_test, a_slot_that_is_given_back_releases_its_pages) {
  stack_space& space = new_space();
  stack_slot slot = space.take();
  std::memset(slot.lowest(), 1, slot.size - slot.guard);
  ASSERT_EQ(resident(slot), (slot.size - slot.guard) / platform::page_size());
  space.give_back(&slot, 1);
  EXPECT_EQ(resident(slot), 0u);
}

TEST(stack_space_test, a_slot_that_is_given_back_is_handed_out_again_empty_and_guarded) {
  memory_probe probe;
  stack_space& space = new_space();
  stack_slot slot = space.take();
  std::memset(slot.lowest(), 1, slot.size - slot.guard);
  space.give_back(&slot, 1);
  stack_slot again = space.take();
  EXPECT_EQ(again.begin, slot.begin);
  EXPECT_EQ(again.size, slot.size);
  EXPECT_EQ(again.guard, slot.guard);
  EXPECT_EQ(again.colour, slot.colour);
  EXPECT_FALSE(probe.readable(again.lowest() - 1));
  EXPECT_EQ(*again.lowest(), 0);
  EXPECT_EQ(*(again.top() - 1), 0);
  EXPECT_NE(space.take().begin, slot.begin);
}

TEST(stack_space_test, many_slots_are_given_back_at_once) {
  stack_space& space = new_space();
  std::vector<stack_slot> slots = take_many(space, 200);  // more than a call to the kernel takes
  for (stack_slot s : slots) *(s.top() - 1) = 1;
  space.give_back(slots.data(), slots.size());
  std::set<char*> expected;
  for (stack_slot s : slots) {
    ASSERT_EQ(resident(s), 0u);
    expected.insert(s.begin);
  }
  for (stack_slot s : take_many(space, slots.size())) ASSERT_EQ(expected.erase(s.begin), 1u);
  EXPECT_TRUE(expected.empty());
}

TEST(stack_space_test, giving_nothing_back_has_no_effect) {
  stack_space& space = new_space();
  space.give_back(nullptr, 0);
  EXPECT_NE(space.take().begin, nullptr);
}

// The first arenas hold 256, 512, 1024 and 2048 slots.
TEST(stack_space_test, the_space_grows_over_many_arenas) {
  memory_probe probe;
  std::vector<stack_slot> slots = take_many(new_space(), 5000);
  for (stack_slot s : slots) {
    ASSERT_NE(s.begin, nullptr);
    ASSERT_FALSE(probe.readable(s.begin));
    ASSERT_FALSE(probe.readable(s.lowest() - 1));
    ASSERT_TRUE(probe.writable(s.lowest()));
    ASSERT_TRUE(probe.writable(s.top() - 1));
  }
}

TEST(stack_space_test, every_slot_that_was_handed_out_is_visited_once) {
  stack_space& space = new_space();
  std::map<char*, stack_slot> expected;
  for (stack_slot s : take_many(space, 1500)) expected[s.begin] = s;
  std::size_t visits = 0;
  space.for_each_slot([&](const stack_slot& s) {
    ++visits;
    auto at = expected.find(s.begin);
    ASSERT_NE(at, expected.end());
    EXPECT_EQ(s.size, at->second.size);
    EXPECT_EQ(s.guard, at->second.guard);
    EXPECT_EQ(s.colour, at->second.colour);
    expected.erase(at);
  });
  EXPECT_EQ(visits, 1500u);
  EXPECT_TRUE(expected.empty());
}

TEST(stack_space_test, slots_that_were_given_back_are_visited_too) {
  stack_space& space = new_space();
  std::vector<stack_slot> slots = take_many(space, 3);
  space.give_back(slots.data(), 2);
  int visits = 0;
  space.for_each_slot([&](const stack_slot&) { ++visits; });
  EXPECT_EQ(visits, 3);
}

TEST(stack_space_test, a_space_without_slots_is_not_visited) {
  new_space().for_each_slot([](const stack_slot&) { FAIL(); });
}

TEST(stack_space_test, slots_may_be_visited_while_others_take) {
  stack_space& space = new_space();
  constexpr std::size_t count = 2000;
  std::atomic<bool> done{false};
  std::thread taker([&] {
    for (std::size_t i = 0; i < count; ++i) *(space.take().top() - 1) = 1;
    done = true;
  });
  std::size_t last = 0;
  while (!done) {
    std::size_t visits = 0;
    space.for_each_slot([&](const stack_slot& s) { visits += s.begin != nullptr; });
    EXPECT_GE(visits, last);
    last = visits;
  }
  taker.join();
}

TEST(stack_space_test, threads_that_take_and_give_back_never_share_a_slot) {
  stack_space& space = new_space();
  constexpr int threads = 4, rounds = 300, held_most = 10;
  std::vector<std::thread> pool;
  for (int t = 0; t < threads; ++t) {
    pool.emplace_back([&, t] {
      std::vector<stack_slot> held;
      for (int r = 0; r < rounds; ++r) {
        held.push_back(space.take());
        ASSERT_EQ(*(held.back().top() - 1), 0);
        *(held.back().top() - 1) = static_cast<char>(t + 1);
        if (held.size() < held_most) continue;
        for (stack_slot s : held) ASSERT_EQ(*(s.top() - 1), t + 1);
        space.give_back(held.data(), held.size());
        held.clear();
      }
    });
  }
  for (auto& t : pool) t.join();
}

TEST(stack_space_test, a_size_that_the_kernel_refuses_gives_an_empty_slot) {
  stack_space& space = new_space(std::size_t{1} << 50);
  EXPECT_EQ(space.take().begin, nullptr);
  EXPECT_EQ(space.take().begin, nullptr);
}

TEST(stack_space_death_test, says_once_that_guards_are_exhausted_and_goes_on) {
  std::size_t mappings = 65530;
  std::ifstream("/proc/sys/vm/max_map_count") >> mappings;
  if (!test::can_start_itself()) GTEST_SKIP() << "an emulator needs mappings of its own";
  if (mappings > 1'000'000) GTEST_SKIP() << "vm.max_map_count is too large to be used up";
  test::die_in_a_fresh_process();
  auto use_up = [&] {
    setenv("RUNNEL_GUARD", "mprotect", 1);
    memory_probe probe;
    stack_space& space = new_space(stack_space::smallest_slot);
    std::size_t guarded = 0;
    for (std::size_t i = 0; i < mappings / 4 + 200; ++i) {
      stack_slot slot = space.take();
      if (slot.begin == nullptr || !probe.writable(slot.lowest())) _exit(10);
      guarded += !probe.readable(slot.begin);
    }
    _exit(guarded == mappings / 4 ? 0 : 11);
  };
  EXPECT_EXIT(use_up(), testing::ExitedWithCode(0),
              "^runnel: stack guards are exhausted [^\n]*\n$");
}

}  // namespace
}  // namespace runnel::memory
