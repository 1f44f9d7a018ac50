// debug::stacks: what it says of goroutines in every state.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "platform/thread.h"
#include "runnel/runnel.h"
#include "sched/runtime.h"
#include "sched/survey.h"
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
using test::wait_here;

// --- states ---

struct wait_case {
  const char* words;
  wait_reason why;
  std::function<void()> wait;
};

class wait_states : public testing::TestWithParam<wait_case> {};

std::vector<wait_case> wait_cases() {
  return {
      {"sleep", wait_reason::sleep, [] { runnel::sleep(1h); }},
      {"sync.Mutex.Lock", wait_reason::mutex_lock,
       [] {
         auto* mu = new runnel::mutex;
         mu->lock();
         mu->lock();
       }},
      {"sync.RWMutex.Lock", wait_reason::shared_mutex_lock,
       [] {
         auto* mu = new runnel::shared_mutex;
         mu->lock_shared();
         mu->lock();
       }},
      {"sync.RWMutex.RLock", wait_reason::shared_mutex_lock_shared,
       [] {
         auto* mu = new runnel::shared_mutex;
         mu->lock();
         mu->lock_shared();
       }},
      {"sync.WaitGroup.Wait", wait_reason::wait_group_wait,
       [] {
         auto* wg = new runnel::wait_group;
         wg->add(1);
         wg->wait();
       }},
      {"sync.Cond.Wait", wait_reason::cond_wait,
       [] {
         auto* mu = new runnel::mutex;
         auto* changed = new runnel::cond<runnel::mutex>(*mu);
         mu->lock();
         changed->wait();
       }},
      {"semacquire", wait_reason::semaphore_acquire,
       [] {
         auto* places = new runnel::semaphore(1);
         places->acquire();
         places->acquire();
       }},
      {"sync.Once.Do", wait_reason::once_call,
       [] {
         auto* first = new runnel::once;
         first->call([first] { first->call([] {}); });
       }},
      {"chan send", wait_reason::chan_send, [] { runnel::make_chan<int>().send(1); }},
      {"chan receive", wait_reason::chan_receive, [] { wait_here(runnel::make_chan<int>()); }},
      {"chan send (nil chan)", wait_reason::chan_send_nil, [] { runnel::chan<int>().send(1); }},
      {"chan receive (nil chan)", wait_reason::chan_receive_nil,
       [] { wait_here(runnel::chan<int>()); }},
      {"select", wait_reason::select,
       [] {
         auto a = runnel::make_chan<int>(), b = runnel::make_chan<int>();
         runnel::select(runnel::recv(a), runnel::send(b, 1));
       }},
      {"select (no cases)", wait_reason::select_no_cases, [] { runnel::select(); }},
  };
}

TEST_P(wait_states, are_said_in_gos_words) {
  run([] {
    auto it = go_waiting(GetParam().why, GetParam().wait);
    auto all = dump_now();
    const dumped_goroutine* found = all.find(it->id);
    ASSERT_NE(found, nullptr) << all.text();
    EXPECT_EQ(found->header,
              "goroutine " + std::to_string(it->id) + " [" + GetParam().words + "]:");
    if (test::symbols_can_be_had()) {
      EXPECT_TRUE(found->shows("wait_cases")) << all.text();
    }
  });
}
INSTANTIATE_TEST_SUITE_P(, wait_states, testing::ValuesIn(wait_cases()), [](const auto& which) {
  std::string name = which.param.words;
  std::erase_if(name, [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); });
  return name;
});

TEST(stacks, there_is_a_text_for_every_reason) {
  std::vector<std::string> seen;
  for (int i = 0; i <= int{static_cast<std::uint8_t>(wait_reason::io_wait)}; ++i) {
    std::string text = runnel::sched::state_text(g_state::waiting, static_cast<wait_reason>(i));
    EXPECT_NE(text, "?") << i;
    EXPECT_EQ(std::ranges::count(seen, text), 0) << text;
    seen.push_back(text);
  }
}

class stacks_with_procs : public testing::TestWithParam<int> {
 protected:
  template <class F>
  void run(F f) {
    runnel::run({.max_procs = GetParam()}, f);
  }
};
INSTANTIATE_TEST_SUITE_P(, stacks_with_procs, testing::Values(1, 2, 8));

TEST_P(stacks_with_procs, the_goroutine_that_asks_is_running) {
  run([] {
    auto all = dump_now();
    const dumped_goroutine* me = all.find(runnel::goroutine_id());
    ASSERT_NE(me, nullptr) << all.text();
    EXPECT_EQ(me->state, "running");
    EXPECT_EQ(me->creator, "");
    if (test::symbols_can_be_had()) {
      EXPECT_TRUE(me->shows("stacks_with_procs_the_goroutine_that_asks")) << all.text();
    }
    EXPECT_TRUE(all.text().starts_with("goroutine ")) << all.text();
    EXPECT_EQ(all.rest().size(), 0U) << all.text();
  });
}

TEST_P(stacks_with_procs, a_goroutine_that_computes_shows_where) {
  std::atomic<bool> stop{false};
  run([&] {
    auto it = go_one([&] { compute_here(stop); });
    ASSERT_TRUE(test::eventually([&] { return it->id != 0; }));
    // On a machine with other work, its thread may not be on a CPU when it is asked.
    ASSERT_TRUE(test::eventually([&] {
      auto all = dump_now();
      const dumped_goroutine* found = all.find(it->id);
      EXPECT_NE(found, nullptr) << all.text();
      if (found == nullptr) return true;
      EXPECT_EQ(found->state, "running");
      return test::symbols_can_be_had() ? found->shows("compute_here") : found->lines.size() >= 4;
    }));
    stop = true;
  });
}

TEST_P(stacks_with_procs, a_goroutine_in_a_blocking_call_shows_where_it_went_in) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  run([&] {
    auto it = go_one([&] {
      runnel::blocking([&] {
        char c;
        EXPECT_EQ(read(ends[0], &c, 1), 1);
      });
    });
    ASSERT_TRUE(test::eventually([&] { return it->is(g_state::running, wait_reason::blocking); }));
    auto all = dump_now();
    const dumped_goroutine* found = all.find(it->id);
    ASSERT_NE(found, nullptr) << all.text();
    EXPECT_EQ(found->state, "blocking");
    EXPECT_GE(found->lines.size(), 2U) << all.text();
    if (test::symbols_can_be_had()) {
      EXPECT_TRUE(found->shows("a_goroutine_in_a_blocking_call")) << all.text();
    }
    EXPECT_EQ(write(ends[1], "x", 1), 1);
    EXPECT_TRUE(test::eventually([&] { return runnel::num_goroutine() == 1; }));
  });
  close(ends[0]);
  close(ends[1]);
}

TEST(stacks, a_blocking_call_that_uses_the_runtime_is_not_blocking_any_more) {
  run([] {
    std::atomic<bool> stop{false};
    auto it = go_one([&] {
      runnel::blocking([&] {
        runnel::yield();
        compute_here(stop);
      });
    });
    ASSERT_TRUE(test::eventually([&] { return it->is(g_state::running, wait_reason::none); }));
    auto all = dump_now();
    ASSERT_NE(all.find(it->id), nullptr);
    EXPECT_EQ(all.find(it->id)->state, "running") << all.text();
    stop = true;
    EXPECT_TRUE(test::eventually([&] { return runnel::num_goroutine() == 1; }));
  });
}

// Whether the kernel says that it sleeps there.
bool thread_waits(int tid) { return tid != 0 && runnel::platform::thread_sleeps(tid); }

TEST_P(stacks_with_procs, a_goroutine_in_an_unannounced_system_call_is_left_alone) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  run([&] {
    std::atomic<int> tid{0};
    std::atomic<bool> disturbed{false};
    auto it = go_one([&] {
      tid = gettid();
      char c;
      disturbed = read(ends[0], &c, 1) != 1;
    });
    ASSERT_TRUE(test::eventually([&] { return thread_waits(tid); }));
    auto all = dump_now();
    const dumped_goroutine* found = all.find(it->id);
    ASSERT_NE(found, nullptr) << all.text();
    EXPECT_EQ(found->state, "running");
    ASSERT_EQ(found->lines.size(), 1U) << all.text();
    EXPECT_EQ(found->lines[0], "\t(its thread waits in the kernel)");
    EXPECT_EQ(write(ends[1], "x", 1), 1);
    EXPECT_TRUE(test::eventually([&] { return runnel::num_goroutine() == 1; }));
    EXPECT_FALSE(disturbed);
  });
  close(ends[0]);
  close(ends[1]);
}

TEST(stacks, a_goroutine_locked_to_its_thread_says_so) {
  run([] {
    auto it = go_waiting(wait_reason::chan_receive, [c = runnel::make_chan<int>()] {
      runnel::lock_os_thread();
      wait_here(c);
    });
    auto all = dump_now();
    ASSERT_NE(all.find(it->id), nullptr);
    EXPECT_EQ(all.find(it->id)->state, "chan receive, locked to thread") << all.text();
  });
}

TEST(stacks, a_goroutine_that_yields_is_runnable) {
  run({.max_procs = 1}, [] {
    std::atomic<bool> stop{false};
    auto it = go_one([&] {
      while (!stop) runnel::yield();
    });
    ASSERT_TRUE(test::eventually([&] { return it->id != 0; }));
    // While we ask, it may run or wait for the one P.
    bool found = test::eventually([&] {
      auto all = dump_now();
      const dumped_goroutine* now = all.find(it->id);
      return now != nullptr && now->state == "runnable" && !now->lines.empty();
    });
    EXPECT_TRUE(found || test::sanitized);
    stop = true;
  });
}

TEST(stacks, goroutines_that_have_not_begun_say_so) {
  // All on the one P there is, while its goroutine computes; the thread that asks has none.
  run({.max_procs = 1}, [] {
    constexpr int n = 10;
    std::atomic<bool> over{false};
    std::atomic<int> ran{0};
    std::optional<test::dump> all;
    for (int i = 0; i < n; ++i) runnel::go({.name = "later"}, [&] { ++ran; });
    std::jthread asks([&] {
      all = dump_now();
      over = true;
    });
    test::compute_until([&] { return over.load(); });
    asks.join();
    int count = 0;
    for (const auto& [id, it] : all->all()) {
      if (!it.header.ends_with("\"later\" [runnable]:")) continue;
      ++count;
      ASSERT_EQ(it.lines.size(), 1U) << all->text();
      EXPECT_EQ(it.lines[0], "\t(it has not begun)");
      EXPECT_TRUE(it.creator.ends_with(" in goroutine " + std::to_string(runnel::goroutine_id())));
    }
    // Ours was long: some may have been taken to be run while the P had lost us.
    EXPECT_LE(count, n);
    if (ran == 0) {
      EXPECT_EQ(count, n) << all->text();
    }
    EXPECT_TRUE(test::eventually([&] { return ran == n; }));
  });
}

TEST(stacks, a_name_is_shown) {
  run([] {
    std::atomic<std::uint64_t> id{0};
    runnel::go({.name = "reader 17"}, [&, c = runnel::make_chan<int>()] {
      id = runnel::goroutine_id();
      wait_here(c);
    });
    ASSERT_TRUE(test::eventually([&] {
      auto all = dump_now();
      const dumped_goroutine* it = all.find(id);
      return it != nullptr &&
             it->header == "goroutine " + std::to_string(id) + " \"reader 17\" [chan receive]:";
    }));
  });
}

TEST(stacks, how_long_it_waits_is_said_in_minutes) {
  run([] {
    auto it =
        go_waiting(wait_reason::chan_receive, [c = runnel::make_chan<int>()] { wait_here(c); });
    auto now = static_cast<std::uint32_t>(runnel::platform::nanotime() / 1'000'000'000);
    it->where.load()->waits_since(now - 185);
    EXPECT_EQ(dump_now().find(it->id)->state, "chan receive, 3 minutes");
    it->where.load()->waits_since(now - 30);
    EXPECT_EQ(dump_now().find(it->id)->state, "chan receive");
  });
}

TEST(stacks, also_of_a_blocking_call) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  run([&] {
    auto it = go_one([&] {
      runnel::blocking([&] {
        char c;
        EXPECT_EQ(read(ends[0], &c, 1), 1);
      });
    });
    ASSERT_TRUE(test::eventually([&] { return it->is(g_state::running, wait_reason::blocking); }));
    auto now = static_cast<std::uint32_t>(runnel::platform::nanotime() / 1'000'000'000);
    EXPECT_LE(now - it->where.load()->waited_since(), 20U);
    it->where.load()->waits_since(now - 61);
    EXPECT_EQ(dump_now().find(it->id)->state, "blocking, 1 minutes");
    EXPECT_EQ(write(ends[1], "x", 1), 1);
    EXPECT_TRUE(test::eventually([&] { return runnel::num_goroutine() == 1; }));
  });
  close(ends[0]);
  close(ends[1]);
}

TEST(stacks, the_first_goroutines_of_a_process_know_since_when_they_wait) {
  run([] {
    EXPECT_NE(runnel::sched::rt().seconds.load(), 0U);
    auto it =
        go_waiting(wait_reason::chan_receive, [c = runnel::make_chan<int>()] { wait_here(c); });
    EXPECT_NE(it->where.load()->waited_since(), 0U);
  });
}

TEST(stacks, frozen_goroutines_of_an_earlier_run_are_not_shown) {
  std::uint64_t id = 0;
  run([&] {
    auto it =
        go_waiting(wait_reason::chan_receive, [c = runnel::make_chan<int>()] { wait_here(c); });
    id = it->id;
    EXPECT_NE(dump_now().find(id), nullptr);
  });
  run([&] {
    auto all = dump_now();
    EXPECT_EQ(all.find(id), nullptr) << all.text();
    EXPECT_EQ(all.all().size(), 1U) << all.text();
  });
}

TEST(stacks, of_a_deep_stack_both_ends_are_shown) {
  struct deep {
    [[gnu::noinline]] static void dive(int levels, const runnel::chan<int>& c) {
      if (levels == 0) {
        wait_here(c);
      } else {
        dive(levels - 1, c);
      }
      asm volatile("");
    }
  };
  run([] {
    constexpr int levels = 500;
    auto it = go_waiting(wait_reason::chan_receive,
                         [c = runnel::make_chan<int>()] { deep::dive(levels, c); });
    auto all = dump_now();
    const dumped_goroutine* found = all.find(it->id);
    ASSERT_NE(found, nullptr) << all.text();
    int elided = 0;
    for (const std::string& line : found->lines) {
      if (line.starts_with("...")) elided = std::atoi(line.c_str() + 3);
    }
    EXPECT_GE(elided, levels - 100) << all.text();
    EXPECT_LE(elided, levels) << all.text();
    if (test::symbols_can_be_had()) {
      EXPECT_NE(found->lines.front().find("wait_here"), std::string::npos) << all.text();
      EXPECT_TRUE(found->shows("of_a_deep_stack_both_ends")) << all.text();
    }
  });
}

}  // namespace
