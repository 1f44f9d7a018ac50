// What a goroutine has of its own: its id, its locals; and how many there are.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "runnel/runnel.h"
#include "support/scale.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::run;

TEST(goroutine_id, is_never_given_twice) {
  std::vector<std::uint64_t> ids;
  for (int round = 0; round < 3; ++round) {
    run({.max_procs = 4}, [&] {
      runnel::mutex mu;
      runnel::wait_group wg;
      for (int i = 0; i < 2000; ++i) {
        wg.go([&] {
          std::lock_guard hold(mu);
          ids.push_back(runnel::goroutine_id());
        });
      }
      wg.wait();
      ids.push_back(runnel::goroutine_id());
    });
  }
  std::sort(ids.begin(), ids.end());
  EXPECT_EQ(std::adjacent_find(ids.begin(), ids.end()), ids.end());
  EXPECT_GT(ids.front(), 0U);
}

TEST(goroutine_id, stays_the_same_across_parks) {
  run({.max_procs = 4}, [] {
    std::atomic<int> changed{0};
    runnel::wait_group wg;
    for (int i = 0; i < 100; ++i) {
      wg.go([&] {
        auto id = runnel::goroutine_id();
        for (int k = 0; k < 10; ++k) {
          runnel::sleep(10us);
          changed += runnel::goroutine_id() != id;
        }
      });
    }
    wg.wait();
    EXPECT_EQ(changed, 0);
  });
}

TEST(num_goroutine, counts_those_that_were_spawned_and_have_not_ended) {
  run({.max_procs = 4}, [] {
    EXPECT_EQ(runnel::num_goroutine(), 1U);
    runnel::wait_group go_on;
    go_on.add(1);
    for (std::size_t i = 1; i <= 500; ++i) {
      runnel::go([&] { go_on.wait(); });
      ASSERT_EQ(runnel::num_goroutine(), 1 + i);
    }
    go_on.done();
    EXPECT_TRUE(test::eventually([] { return runnel::num_goroutine() == 1; }));
  });
}

TEST(num_goroutine, counts_those_spawned_by_plain_threads_and_before_the_run) {
  runnel::wait_group go_on;
  go_on.add(1);
  runnel::go([&] { go_on.wait(); });
  run({.max_procs = 4}, [&] {
    EXPECT_EQ(runnel::num_goroutine(), 2U);
    std::thread([&] {
      for (int i = 0; i < 10; ++i) runnel::go([&] { go_on.wait(); });
      EXPECT_EQ(runnel::num_goroutine(), 12U);
    }).join();
    go_on.done();
    EXPECT_TRUE(test::eventually([] { return runnel::num_goroutine() == 1; }));
  });
}

TEST(num_goroutine, stays_right_while_max_procs_changes) {
  run({.max_procs = 8}, [] {
    runnel::wait_group go_on;
    go_on.add(1);
    for (int i = 0; i < 200; ++i) runnel::go([&] { go_on.wait(); });
    for (int n : {1, 5, 2, 8, 1}) {
      runnel::max_procs(n);
      EXPECT_EQ(runnel::num_goroutine(), 201U);
    }
    go_on.done();
    EXPECT_TRUE(test::eventually([] { return runnel::num_goroutine() == 1; }));
  });
}

TEST(goroutine_local, every_goroutine_has_its_own) {
  static runnel::goroutine_local<int> number;
  run({.max_procs = 8}, [] {
    std::atomic<int> wrong{0};
    runnel::wait_group wg;
    for (int i = 0; i < 500; ++i) {
      wg.go([&, i] {
        wrong += *number != 0;
        *number = i;
        for (int k = 0; k < 5; ++k) {
          runnel::sleep(10us);
          wrong += number.get() != i;
        }
      });
    }
    wg.wait();
    EXPECT_EQ(wrong, 0);
  });
}

TEST(goroutine_local, is_made_by_the_given_function_on_first_use) {
  static std::atomic<int> made{0};
  static runnel::goroutine_local<std::string> text([] {
    ++made;
    return std::string("made");
  });
  run([] {
    EXPECT_EQ(made, 0);
    EXPECT_EQ(text->size(), 4U);
    EXPECT_EQ(*text, "made");
    EXPECT_EQ(made, 1);
    runnel::wait_group wg;
    wg.go([] { EXPECT_EQ(*text, "made"); });
    wg.wait();
    EXPECT_EQ(made, 2);
  });
}

// Notes who is destroyed, and in which order.
struct noted {
  static inline std::vector<int> order;
  int number = 0;
  ~noted() { order.push_back(number); }
};

TEST(goroutine_local, values_are_destroyed_in_reverse_order_when_the_goroutine_ends) {
  static runnel::goroutine_local<noted> a, b, c;
  auto fill = [] {
    a->number = 1;
    b->number = 2;
    c->number = 3;
  };
  run({.max_procs = 1}, [&] {
    noted::order.clear();
    runnel::go(fill);
    EXPECT_TRUE(test::eventually([] { return noted::order.size() == 3; }));
    EXPECT_EQ(noted::order, (std::vector<int>{3, 2, 1}));
    runnel::go([&] {
      fill();
      runnel::goexit();
    });
    EXPECT_TRUE(test::eventually([] { return noted::order.size() == 6; }));
  });
  noted::order.clear();
  run(fill);
  EXPECT_EQ(noted::order, (std::vector<int>{3, 2, 1}));
}

TEST(goroutine_local, a_destructor_may_park_and_use_other_locals) {
  static std::atomic<int> destroyed{0};
  static runnel::goroutine_local<std::unique_ptr<int>> late;
  struct uses_another {
    ~uses_another() {
      runnel::yield();
      *late = std::make_unique<int>(5);
      runnel::sleep(10us);
      destroyed += **late == 5;
    }
  };
  static runnel::goroutine_local<uses_another> value;
  run({.max_procs = 4}, [] {
    for (int i = 0; i < 50; ++i) runnel::go([] { value.get(); });
    EXPECT_TRUE(test::eventually([] { return destroyed == 50; }));
  });
}

TEST(goroutine_local, on_a_plain_thread_is_the_threads) {
  static runnel::goroutine_local<noted> value;
  noted::order.clear();
  value->number = 1;
  std::thread([] {
    EXPECT_EQ(value->number, 0);
    value->number = 2;
  }).join();
  EXPECT_EQ(noted::order, (std::vector<int>{2}));
  EXPECT_EQ(value->number, 1);
}

}  // namespace
