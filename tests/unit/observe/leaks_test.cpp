// debug::leaks: the classic leaks are found.
//
// A search that takes old addresses for new ones misses some. RUNNEL_DEBUG=leak=2 says where they lay; these were found:
//   the searching thread's signal stack, with its registers from a search by another thread
//   the stack of a thread that had ended, which glibc keeps, and what it had been started with
//   below the stack pointer of the searching goroutine, where the search had just been
//   the search's own frame, as long as it was a part of debug::leaks
//   a place in a frame of the test that it had not written to yet, with what other goroutines had left on that stack: so the
//   main goroutine's stack is wiped before the test's frames lie there, not only behind the leaking part

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "platform/sanitizer.h"
#include "runnel/debug.h"
#include "runnel/runnel.h"
#include "support/wait.h"

namespace {

using namespace runnel;
using namespace std::chrono_literals;

constexpr bool blind = platform::has_asan || platform::has_tsan;

// What a caller leaves on its stack, and in registers, is overwritten.
[[gnu::noinline]] void wipe() {
  volatile char old[4096];
  for (std::size_t i = 0; i < sizeof old; ++i) old[i] = 0;
}

// The names of the goroutines that have leaked, when all that are expected have been found.
std::vector<std::string> leaked(std::size_t expected) {
  std::vector<std::string> names;
  test::eventually(
      [&] {
        wipe();
        names.clear();
        for (const auto& one : debug::leaks()) names.push_back(one.name);
        return names.size() >= expected;
      },
      10s);
  std::sort(names.begin(), names.end());
  return names;
}

using names = std::vector<std::string>;

class leaks_test : public testing::Test {
 protected:
  void SetUp() override {
    if (blind) GTEST_SKIP() << "the sanitizer's allocator does not tell where its memory is";
  }
  // Exactly these are found, with any number of Ps.
  template <class F>
  void expect(names expected, F set_up) {
    for (int procs : {1, 2, 8}) {
      SCOPED_TRACE(procs);
      run_wiped({.max_procs = procs}, [&] {
        apart(set_up);
        wipe();
        EXPECT_EQ(leaked(expected.size()), expected);
      });
    }
  }
  template <class F>
  [[gnu::noinline]] static void apart(F& f) {
    f();
  }
  // A run whose main function's frames lie where nothing is left of others.
  template <class F>
  static void run_wiped(const options& how, F main) {
    run(how, [&] {
      wipe();
      apart(main);
    });
  }
};

TEST_F(leaks_test, a_sender_whose_receiver_has_given_up) {
  expect({"sender"}, [] {
    auto answer = make_chan<int>();
    go({.name = "sender"}, [answer] { answer.send(42); });
  });
}

TEST_F(leaks_test, a_range_over_a_channel_that_nobody_closes) {
  expect({"range", "range"}, [] {
    auto values = make_chan<int>();
    for (int i = 0; i < 2; ++i) {
      go({.name = "range"}, [values] {
        for (int v : values) (void)v;
      });
    }
    values.send(1);
  });
}

TEST_F(leaks_test, a_wait_for_a_done_that_was_forgotten) {
  expect({"waiter"}, [] {
    auto all = std::make_shared<wait_group>();
    all->add(2);
    go([all] { all->done(); });
    go({.name = "waiter"}, [all] { all->wait(); });
  });
}

TEST_F(leaks_test, a_lock_whose_owner_has_ended) {
  expect({"exclusive", "shared", "writer"}, [] {
    auto mu = std::make_shared<mutex>();
    auto rw = std::make_shared<shared_mutex>();
    auto locked = make_chan<unit>();
    go([mu, rw, locked] {
      mu->lock();
      rw->lock();
      locked.close();
    });
    locked.recv();
    go({.name = "exclusive"}, [mu] { mu->lock(); });
    go({.name = "shared"}, [rw] { rw->lock_shared(); });
    go({.name = "writer"}, [rw] { rw->lock(); });
  });
}

TEST_F(leaks_test, whatever_else_needs_somebody) {
  expect({"cond", "once", "semaphore"}, [] {
    struct all {
      mutex mu;
      cond<mutex> changed{mu};
      semaphore none{1};
      once never;
    };
    auto a = std::make_shared<all>();
    a->none.acquire();
    go({.name = "cond"}, [a] {
      std::lock_guard hold(a->mu);
      a->changed.wait();
    });
    go({.name = "semaphore"}, [a] { a->none.acquire(); });
    // The first call of the once waits for the semaphore too.
    auto begun = make_chan<unit>();
    go({.name = "once"}, [a, begun] {
      a->never.call([&] {
        begun.close();
        a->none.acquire();
      });
    });
  });
}

TEST_F(leaks_test, a_select_of_channels_that_are_gone) {
  expect({"select"}, [] {
    go({.name = "select"}, [a = make_chan<int>(), b = make_chan<int>(1)] {
      select(send(a, 1), recv(b), recv(chan<int>()));
    });
  });
}

TEST_F(leaks_test, nil_channels_and_a_select_without_cases) {
  expect({"nil receive", "nil send", "select"}, [] {
    go({.name = "nil receive"}, [] { chan<int>().recv(); });
    go({.name = "nil send"}, [] { chan<int>().send(1); });
    go({.name = "select"}, [] { select(); });
  });
}

TEST_F(leaks_test, two_that_wait_for_each_other) {
  expect({"a", "b"}, [] {
    auto to_a = make_chan<int>(), to_b = make_chan<int>();
    go({.name = "a"}, [=] {
      to_a.recv();
      to_b.send(1);
    });
    go({.name = "b"}, [=] {
      to_b.recv();
      to_a.send(1);
    });
  });
}

TEST_F(leaks_test, seen_from_a_plain_thread) {
  run_wiped({}, [] {
    go({.name = "nil"}, [] { chan<int>().recv(); });
    names found;
    blocking([&] { std::thread([&] { found = leaked(1); }).join(); });
    EXPECT_EQ(found, names{"nil"});
  });
}

TEST_F(leaks_test, tells_what_stacks_tell) {
  run_wiped({}, [] {
    std::uint64_t id = 0;
    wait_group started;
    started.add(1);
    go({.name = "one"}, [&] {
      id = goroutine_id();
      started.done();
      chan<int>().recv();
    });
    started.wait();
    EXPECT_EQ(leaked(1), names{"one"});
    auto all = debug::leaks();
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].id, id);
    EXPECT_EQ(all[0].state, "chan receive (nil chan)");
    EXPECT_EQ(all[0].creator, goroutine_id());
    EXPECT_GT(all[0].frames.size(), 2u);
    EXPECT_NE(to_string(all[0]).find("goroutine " + std::to_string(id) + " \"one\" [chan receive"),
              std::string::npos);
  });
}

TEST_F(leaks_test, with_leak_2_says_what_holds_one_that_has_not_leaked) {
  std::string text;
  run([&] {
    auto held = make_chan<int>();
    go({.name = "held"}, [held] { held.recv(); });
    setenv("RUNNEL_DEBUG", "leak=2", 1);
    test::eventually([&] {
      testing::internal::CaptureStderr();
      EXPECT_TRUE(debug::leaks().empty());
      text = testing::internal::GetCapturedStderr();
      return text.find("\"held\" [chan receive] is held\n    by the word ") != text.npos;
    });
    unsetenv("RUNNEL_DEBUG");
    held.send(1);
  });
  EXPECT_NE(text.find("\"held\" [chan receive] is held"), text.npos) << text;
  EXPECT_NE(text.find(" of the heap at 0x"), text.npos) << text;
  EXPECT_NE(text.find(", which runs on it\n"), text.npos) << text;
}

TEST_F(leaks_test, a_hundred_thousand_are_found_in_less_than_three_seconds) {
  constexpr std::size_t count = 100'000;
  run([] {
    for (std::size_t i = 0; i < count; ++i) {
      go([c = make_chan<int>()] { c.recv(); });
    }
    std::size_t found = 0;
    EXPECT_TRUE(test::eventually([&] {
      auto begin = test::clock::now();
      found = debug::leaks().size();
      auto took = test::clock::now() - begin;
      // Old addresses may hide a few.
      bool all = found >= count - 100;
      EXPECT_TRUE(!all || took < 3s);
      return all;
    })) << found;
  });
}

TEST_F(leaks_test, outside_of_a_run_there_are_none) { EXPECT_TRUE(debug::leaks().empty()); }

}  // namespace
