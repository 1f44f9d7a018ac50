// debug::stacks: who created a goroutine, and goroutines that show the same put together.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <source_location>
#include <string>
#include <thread>

#include "runnel/runnel.h"
#include "support/dump.h"
#include "support/scale.h"
#include "support/wait.h"
#include "unit/observe/seen.h"

namespace {

using namespace std::chrono_literals;
using runnel::run;
using runnel::sched::g_state;
using runnel::sched::wait_reason;
using test::compute_here;
using test::dump_now;
using test::dumped_goroutine;
using test::go_one;
using test::go_waiting;
using test::one;
using test::wait_here;

// Of the statement after the one that calls this.
int next_line(std::source_location at = std::source_location::current()) {
  return static_cast<int>(at.line()) + 1;
}

std::string here(int line) { return "stacks_text_test.cpp:" + std::to_string(line); }

// --- who created it ---

class creators : public testing::Test {
 protected:
  void SetUp() override {
    if (!test::symbols_can_be_had()) GTEST_SKIP() << "without libdw no lines";
  }
  static void expect_created_here(const one& it, const std::string& in, int line) {
    auto all = dump_now();
    const dumped_goroutine* found = all.find(it.id);
    ASSERT_NE(found, nullptr) << all.text();
    EXPECT_NE(found->creator.find("TestBody"), std::string::npos) << all.text();
    if (in.empty()) {
      EXPECT_EQ(found->creator.find(" in goroutine "), std::string::npos) << all.text();
    } else {
      EXPECT_TRUE(found->creator.ends_with(in)) << all.text();
    }
    EXPECT_TRUE(found->creator_place.ends_with(here(line))) << all.text();
  }
  static std::string in_me() { return " in goroutine " + std::to_string(runnel::goroutine_id()); }
};

struct waits_for_ever {
  std::shared_ptr<one> it;
  runnel::chan<int> c = runnel::make_chan<int>();
  void operator()() const {
    it->note();
    wait_here(c);
  }
};

void await_arrival(const one& it) {
  EXPECT_TRUE(test::eventually([&] { return it.is(g_state::waiting, wait_reason::chan_receive); }));
}

TEST_F(creators, of_go_are_shown_with_their_line) {
  run([] {
    auto it = std::make_shared<one>();
    int line = next_line();
    runnel::go(waits_for_ever{it});
    await_arrival(*it);
    expect_created_here(*it, in_me(), line);
  });
}

TEST_F(creators, of_go_with_options_are_shown_with_their_line) {
  run([] {
    auto it = std::make_shared<one>();
    int line = next_line();
    runnel::go({.name = "somebody"}, waits_for_ever{it});
    await_arrival(*it);
    expect_created_here(*it, in_me(), line);
  });
}

TEST_F(creators, of_wait_groups_are_shown_with_their_line) {
  run([] {
    auto it = std::make_shared<one>();
    auto* wg = new runnel::wait_group;
    int line = next_line();
    wg->go(waits_for_ever{it});
    await_arrival(*it);
    expect_created_here(*it, in_me(), line);
  });
}

TEST_F(creators, of_errgroups_are_shown_with_their_line) {
  run([] {
    auto it = std::make_shared<one>();
    auto* group = new runnel::errgroup;
    int line = next_line();
    group->go(waits_for_ever{it});
    await_arrival(*it);
    expect_created_here(*it, in_me(), line);
  });
}

TEST_F(creators, of_after_func_are_those_who_called_it) {
  run([] {
    auto it = std::make_shared<one>();
    int line = next_line();
    auto timer = runnel::after_func(1us, waits_for_ever{it});
    await_arrival(*it);
    expect_created_here(*it, in_me(), line);
  });
}

TEST_F(creators, on_plain_threads_have_no_goroutine) {
  run([] {
    auto it = std::make_shared<one>();
    int line = 0;
    std::jthread([&] {
      line = next_line();
      runnel::go(waits_for_ever{it});
    }).join();
    await_arrival(*it);
    expect_created_here(*it, "", line);
  });
}

// --- folding ---

TEST(folded_stacks, count_goroutines_with_the_same_stack_and_list_some) {
  run([] {
    auto c = runnel::make_chan<int>();
    constexpr int n = 30;
    std::atomic<int> there{0};
    for (int i = 0; i < n; ++i) {
      runnel::go([&, c] {
        ++there;
        wait_here(c);
      });
    }
    auto other = go_waiting(wait_reason::sleep, [] { runnel::sleep(1h); });
    ASSERT_TRUE(test::eventually([&] {
      auto all = dump_now();
      return std::ranges::count_if(
                 all.all(), [](const auto& it) { return it.second.state == "chan receive"; }) == n;
    }));
    auto all = dump_now({.fold = true});
    ASSERT_EQ(all.rest().size(), 1U) << all.text();
    EXPECT_TRUE(all.rest()[0].starts_with("30 goroutines with the same stack: ")) << all.text();
    EXPECT_TRUE(all.rest()[0].ends_with(" ...")) << all.text();
    EXPECT_TRUE(all.text().starts_with("30 goroutines")) << "the most frequent first";
    EXPECT_EQ(all.all().size(), 3U) << all.text();
    EXPECT_NE(all.find(other->id), nullptr) << all.text();
  });
}

// The same place, waited at for another reason or by way of another call, is another stack.
TEST(folded_stacks, keep_different_ones_apart) {
  run([] {
    auto c = runnel::make_chan<int>();
    auto a = go_waiting(wait_reason::chan_receive, [c] { wait_here(c); });
    auto b = go_waiting(wait_reason::chan_receive, [c] {
      wait_here(c);
      wait_here(c);
    });
    auto nil = go_waiting(wait_reason::chan_receive_nil, [] { wait_here(runnel::chan<int>()); });
    auto all = dump_now({.fold = true});
    for (const auto& it : {a, b, nil}) EXPECT_NE(all.find(it->id), nullptr) << all.text();
    EXPECT_EQ(all.rest().size(), 0U) << all.text();
  });
}

}  // namespace
