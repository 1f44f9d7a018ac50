// The intrusive queue: order, size and links after each operation.

#include "base/intrusive_queue.h"

#include <gtest/gtest.h>

#include <deque>
#include <vector>

#include "base/random.h"

namespace runnel::base {
namespace {

struct item {
  item* next = nullptr;
  int number = 0;
};

using queue = intrusive_queue<item>;

std::vector<int> drain(queue& q) {
  std::vector<int> numbers;
  while (item* it = q.pop_front()) numbers.push_back(it->number);
  return numbers;
}

class intrusive_queue_test : public testing::Test {
 protected:
  intrusive_queue_test() {
    for (int i = 0; i < 8; ++i) items[i].number = i;
  }
  item items[8];
  queue q;
};

TEST_F(intrusive_queue_test, begins_empty) {
  EXPECT_TRUE(q.empty());
  EXPECT_EQ(q.size(), 0u);
  EXPECT_EQ(q.pop_front(), nullptr);
}

TEST_F(intrusive_queue_test, gives_back_in_the_order_of_push_back) {
  for (int i = 0; i < 5; ++i) q.push_back(&items[i]);
  EXPECT_EQ(q.size(), 5u);
  EXPECT_EQ(drain(q), (std::vector{0, 1, 2, 3, 4}));
}

TEST_F(intrusive_queue_test, gives_what_was_pushed_in_front_first) {
  q.push_back(&items[0]);
  q.push_front(&items[1]);
  q.push_front(&items[2]);
  q.push_back(&items[3]);
  EXPECT_EQ(drain(q), (std::vector{2, 1, 0, 3}));
}

TEST_F(intrusive_queue_test, accepts_push_back_after_push_front_into_an_empty_queue) {
  q.push_front(&items[0]);
  q.push_back(&items[1]);
  EXPECT_EQ(drain(q), (std::vector{0, 1}));
}

TEST_F(intrusive_queue_test, can_be_filled_again_after_it_ran_empty) {
  q.push_back(&items[0]);
  drain(q);
  EXPECT_TRUE(q.empty());
  q.push_back(&items[1]);
  EXPECT_EQ(q.size(), 1u);
  EXPECT_EQ(drain(q), (std::vector{1}));
}

TEST_F(intrusive_queue_test, unlinks_what_it_gives_back) {
  q.push_back(&items[0]);
  q.push_back(&items[1]);
  EXPECT_EQ(q.pop_front()->next, nullptr);
}

TEST_F(intrusive_queue_test, forgets_the_old_link_of_what_is_pushed) {
  items[0].next = &items[7];
  q.push_back(&items[0]);
  EXPECT_EQ(drain(q), (std::vector{0}));
}

TEST_F(intrusive_queue_test, appends_another_queue_behind_its_own) {
  queue other;
  q.push_back(&items[0]);
  q.push_back(&items[1]);
  other.push_back(&items[2]);
  other.push_back(&items[3]);
  q.append(other);
  q.push_back(&items[4]);
  EXPECT_EQ(q.size(), 5u);
  EXPECT_EQ(drain(q), (std::vector{0, 1, 2, 3, 4}));
}

TEST_F(intrusive_queue_test, empties_the_queue_it_appends) {
  queue other;
  other.push_back(&items[0]);
  q.append(other);
  EXPECT_TRUE(other.empty());
  EXPECT_EQ(other.size(), 0u);
  other.push_back(&items[1]);
  EXPECT_EQ(drain(q), (std::vector{0}));
  EXPECT_EQ(drain(other), (std::vector{1}));
}

TEST_F(intrusive_queue_test, appends_an_empty_queue_without_effect) {
  queue other;
  q.push_back(&items[0]);
  q.append(other);
  q.push_back(&items[1]);
  EXPECT_EQ(drain(q), (std::vector{0, 1}));
}

TEST_F(intrusive_queue_test, appends_to_an_empty_queue) {
  queue other;
  other.push_back(&items[0]);
  other.push_back(&items[1]);
  q.append(other);
  q.push_back(&items[2]);
  EXPECT_EQ(drain(q), (std::vector{0, 1, 2}));
}

TEST_F(intrusive_queue_test, agrees_with_a_deque_over_random_operations) {
  base::random rng(7);
  std::vector<item> many(64);
  std::vector<item*> outside;
  for (int i = 0; i < 64; ++i) {
    many[i].number = i;
    outside.push_back(&many[i]);
  }
  std::deque<int> reference;
  for (int step = 0; step < 20'000; ++step) {
    std::uint32_t what = rng.below(3);
    if (what == 2 || outside.empty()) {
      item* it = q.pop_front();
      ASSERT_EQ(it == nullptr, reference.empty());
      if (it == nullptr) continue;
      ASSERT_EQ(it->number, reference.front());
      reference.pop_front();
      outside.push_back(it);
    } else {
      item* it = outside.back();
      outside.pop_back();
      if (what == 0) {
        q.push_back(it);
        reference.push_back(it->number);
      } else {
        q.push_front(it);
        reference.push_front(it->number);
      }
    }
    ASSERT_EQ(q.size(), reference.size());
  }
}

}  // namespace
}  // namespace runnel::base
