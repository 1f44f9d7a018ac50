#include "runnel/sync/atomic_value.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "runnel/go.h"
#include "runnel/sync/wait_group.h"
#include "support/scale.h"

namespace {

using runnel::atomic_value;
using runnel::run;

struct counted {
  static inline std::atomic<int> alive{0};
  int a, b;
  explicit counted(int n) : a(n), b(n) { ++alive; }
  counted(const counted& o) : a(o.a), b(o.b) { ++alive; }
  ~counted() { --alive; }
};

TEST(atomic_value, is_null_before_the_first_store) {
  atomic_value<int> v;
  EXPECT_EQ(v.load(), nullptr);
}

TEST(atomic_value, returns_what_was_stored) {
  atomic_value<std::string> v;
  v.store("one");
  EXPECT_EQ(*v.load(), "one");
  v.store("two");
  EXPECT_EQ(*v.load(), "two");
}

TEST(atomic_value, takes_values_that_can_only_be_moved) {
  atomic_value<std::unique_ptr<int>> v;
  v.store(std::make_unique<int>(7));
  EXPECT_EQ(**v.load(), 7);
}

TEST(atomic_value, swap_returns_the_value_before) {
  atomic_value<int> v;
  EXPECT_EQ(v.swap(1), nullptr);
  EXPECT_EQ(*v.swap(2), 1);
  EXPECT_EQ(*v.load(), 2);
}

TEST(atomic_value, compare_exchange_stores_if_the_object_is_still_the_same) {
  atomic_value<int> v;
  std::shared_ptr<const int> seen;
  EXPECT_TRUE(v.compare_exchange(seen, 1));
  EXPECT_EQ(*v.load(), 1);
  seen = v.load();
  EXPECT_TRUE(v.compare_exchange(seen, 2));
  EXPECT_EQ(*v.load(), 2);
}

TEST(atomic_value, compare_exchange_tells_the_value_if_another_was_faster) {
  atomic_value<int> v;
  v.store(1);
  auto seen = v.load();
  v.store(1);  // equal, but another object
  EXPECT_FALSE(v.compare_exchange(seen, 2));
  EXPECT_EQ(seen, v.load());
  EXPECT_TRUE(v.compare_exchange(seen, 2));
}

TEST(atomic_value, a_value_lives_as_long_as_somebody_has_it) {
  {
    atomic_value<counted> v;
    v.store(counted(1));
    auto old = v.load();
    v.store(counted(2));
    EXPECT_EQ(counted::alive, 2);
    EXPECT_EQ(old->a, 1);
    old = nullptr;
    EXPECT_EQ(counted::alive, 1);
  }
  EXPECT_EQ(counted::alive, 0);
}

TEST(atomic_value, keeps_its_value_if_the_new_one_cannot_be_made) {
  struct throws_when_moved {
    int n;
    explicit throws_when_moved(int value) : n(value) {}
    throws_when_moved(throws_when_moved&& o) : n(o.n) {
      if (n == 2) throw std::runtime_error("two");
    }
  };
  atomic_value<throws_when_moved> v;
  v.store(throws_when_moved(1));
  EXPECT_THROW(v.store(throws_when_moved(2)), std::runtime_error);
  EXPECT_EQ(v.load()->n, 1);
}

class atomic_value_on : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(ps, atomic_value_on, testing::Values(1, 8));

TEST_P(atomic_value_on, is_never_seen_half_written) {
  run({.max_procs = GetParam()}, [] {
    atomic_value<counted> v;
    v.store(counted(0));
    std::atomic<int> torn{0};
    const int each = test::scaled(5000);
    auto work = [&](int seat) {
      for (int i = 0; i < each; ++i) {
        if (i % 4 == seat % 4) v.store(counted(i));
        auto now = v.load();
        torn += now->a != now->b;
        if (i % 64 == 0) runnel::yield();
      }
    };
    runnel::wait_group wg;
    for (int g = 0; g < 8; ++g) wg.go([&, g] { work(g); });
    std::thread plain([&] { work(1); });
    wg.wait();
    runnel::blocking([&] { plain.join(); });
    EXPECT_EQ(torn, 0);
  });
  EXPECT_EQ(counted::alive, 0);
}

TEST_P(atomic_value_on, compare_exchange_loses_no_increment) {
  run({.max_procs = GetParam()}, [] {
    atomic_value<int> v;
    v.store(0);
    const int each = test::scaled(3000);
    auto work = [&] {
      for (int i = 0; i < each; ++i) {
        auto seen = v.load();
        while (!v.compare_exchange(seen, *seen + 1)) {
        }
      }
    };
    runnel::wait_group wg;
    for (int g = 0; g < 4; ++g) wg.go(work);
    std::thread plain(work);
    wg.wait();
    runnel::blocking([&] { plain.join(); });
    EXPECT_EQ(*v.load(), 5 * each);
  });
}

}  // namespace
