// A select over cases that are collected at run time.

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "chan/channel.h"
#include "runnel/chan.h"
#include "runnel/runnel.h"
#include "runnel/select.h"
#include "support/counted.h"
#include "support/scale.h"
#include "support/wait.h"
#include "support/waiting.h"

namespace {

using namespace std::chrono_literals;
using runnel::chan;
using runnel::make_chan;
using runnel::run;
using runnel::selector;
using test::counted;

std::vector<chan<int>> make_many(int n, std::size_t capacity) {
  std::vector<chan<int>> all;
  for (int i = 0; i < n; ++i) all.push_back(make_chan<int>(capacity));
  return all;
}

TEST(selector, numbers_its_cases_and_takes_one_that_is_ready) {
  auto a = make_chan<int>(1), b = make_chan<int>(1);
  std::optional<int> got;
  int handled = 0;
  selector s;
  EXPECT_EQ(s.recv(a, got), 0U);
  EXPECT_EQ(s.timeout(1h), 1U);
  EXPECT_EQ(s.recv(b, [&](std::optional<int> v) { handled += *v; }), 2U);
  EXPECT_EQ(s.size(), 3U);
  a.send(1);
  EXPECT_EQ(s.wait(), 0U);
  EXPECT_EQ(got, 1);
  b.send(2);
  EXPECT_EQ(s.wait(), 2U);
  EXPECT_EQ(handled, 2);
  s.clear();
  EXPECT_EQ(s.size(), 0U);
  EXPECT_EQ(s.otherwise(), 0U);
  EXPECT_EQ(s.wait(), 0U);
}

TEST(selector, waits_for_hundreds_of_channels_again_and_again) {
  for (int procs : {1, 4}) {
    run({.max_procs = procs}, [] {
      constexpr int n = 300;
      auto all = make_many(n, 0);
      selector s;
      std::vector<std::optional<int>> got(n);
      for (int i = 0; i < n; ++i) s.recv(all[i], got[i]);
      runnel::wait_group wg;
      for (int i = 0; i < n; ++i) {
        wg.go([&, i] {
          for (int k = 0; k < 3; ++k) all[i].send(1000 * k + i);
        });
      }
      std::vector<int> next(n, 0);
      for (int i = 0; i < 3 * n; ++i) {
        std::size_t taken = s.wait();
        EXPECT_EQ(got[taken], 1000 * next[taken]++ + static_cast<int>(taken));
      }
      wg.wait();
      for (auto& ch : all) EXPECT_TRUE(ch.core()->receivers.empty());
    });
  }
}

TEST(selector, parks_at_hundreds_of_channels) {
  run({.max_procs = 2}, [] {
    for (int n : {1, 2, 15, 16, 17, 18, 100, 301}) {
      auto all = make_many(n, 0);
      test::waiting_goroutines waiting;
      int index = n * 2 / 3;
      waiting.go([&] {
        selector s;
        for (auto& ch : all) s.recv(ch);
        EXPECT_EQ(s.wait(), static_cast<std::size_t>(index));
      });
      all[index].send(1);
      waiting.wait();
      for (auto& ch : all) EXPECT_TRUE(ch.core()->receivers.empty());
    }
  });
}

TEST(selector, takes_channels_in_any_order_and_more_than_once) {
  run({.max_procs = 4}, [] {
    constexpr int n = 60;
    auto all = make_many(n, 0);
    const int rounds = test::scaled(300);
    std::atomic<long> sent{0}, received{0};
    runnel::wait_group wg;
    for (int k = 0; k < 4; ++k) {
      wg.go([&, k] {
        selector s;
        int value = k;
        std::vector<bool> sends;
        for (int i = 0; i < n; ++i) {
          int at = (i * (2 * k + 7)) % n;  // each has another order
          s.recv(all[at]);
          sends.push_back(false);
          s.send(all[n - 1 - at], value);
          sends.push_back(true);
          s.recv(all[0]);
          sends.push_back(false);
        }
        std::size_t timeout = s.timeout(200us);
        for (int i = 0; i < rounds; ++i) {
          std::size_t taken = s.wait();
          if (taken != timeout) ++(sends[taken] ? sent : received);
        }
      });
    }
    wg.wait();
    EXPECT_EQ(sent, received);
  });
}

TEST(selector, chooses_with_equal_probability) {
  run([] {
    constexpr int n = 20, rounds = 10'000;
    auto all = make_many(n, 1);
    selector s;
    for (auto& ch : all) s.recv(ch);
    std::vector<int> chosen(n, 0);
    for (int i = 0; i < rounds; ++i) {
      for (auto& ch : all) ch.try_send(1);
      ++chosen[s.wait()];
    }
    for (int c : chosen) {  // 500, deviation 22
      EXPECT_GT(c, 380);
      EXPECT_LT(c, 620);
    }
  });
}

TEST(selector, starts_its_timeouts_anew_at_every_wait) {
  run([] {
    auto ch = make_chan<int>();
    selector s;
    int called = 0;
    s.timeout(1h);
    s.recv(ch);
    s.timeout(2ms, [&] { ++called; });
    for (int i = 0; i < 3; ++i) {
      auto begin = test::clock::now();
      EXPECT_EQ(s.wait(), 2U);
      EXPECT_GE(test::clock::now() - begin, 2ms);
    }
    EXPECT_EQ(called, 3);
    EXPECT_TRUE(ch.core()->receivers.empty());
  });
}

TEST(selector, with_otherwise_never_waits) {
  auto ch = make_chan<int>(1);
  selector s;
  int called = 0;
  s.recv(ch);
  s.otherwise([&] { ++called; });
  EXPECT_EQ(s.wait(), 1U);
  ch.send(1);
  EXPECT_EQ(s.wait(), 0U);
  EXPECT_EQ(s.wait(), 1U);
  EXPECT_EQ(called, 2);
}

TEST(selector, without_a_limit_in_an_endless_timeout_waits) {
  run([] {
    auto ch = make_chan<int>();
    test::waiting_goroutines waiting;
    waiting.go([&] {
      selector s;
      s.timeout(std::chrono::hours::max());
      s.recv(ch);
      EXPECT_EQ(s.wait(), 1U);
    });
    ch.send(1);
    waiting.wait();
  });
}

TEST(selector, sends_what_it_keeps_once) {
  test::no_counted_left watch;
  auto ch = make_chan<counted>(4);
  selector s;
  s.send(ch, counted(1));
  s.send(ch, counted(2));
  std::size_t none = s.otherwise();
  std::size_t first = s.wait(), second = s.wait();
  EXPECT_EQ(first + second, 1U);
  EXPECT_EQ(s.wait(), none);
  EXPECT_EQ(ch.len(), 2U);
  EXPECT_EQ(ch.recv()->value() + ch.recv()->value(), 3);
}

TEST(selector, keeps_a_value_that_was_not_sent_for_the_next_time) {
  test::no_counted_left watch;
  auto full = make_chan<counted>(1);
  full.send(counted(0));
  selector s;
  s.send(full, counted(1));
  std::size_t late = s.timeout(10us);
  EXPECT_EQ(s.wait(), late);
  EXPECT_EQ(s.wait(), late);
  EXPECT_EQ(full.recv()->value(), 0);
  EXPECT_EQ(s.wait(), 0U);
  EXPECT_EQ(full.recv()->value(), 1);
}

TEST(selector, refers_to_a_variable_of_the_element_type) {
  auto ch = make_chan<std::string>(2);
  selector s;
  std::string v = "first";
  s.send(ch, v);
  EXPECT_EQ(s.wait(), 0U);
  v = "second";
  EXPECT_EQ(s.wait(), 0U);
  EXPECT_EQ(ch.recv(), "first");
  EXPECT_EQ(ch.recv(), "second");
}

TEST(selector, keeps_its_channels_and_handlers) {
  int handled = 0;
  selector s;
  {
    auto ch = make_chan<int>(1);
    ch.send(3);
    auto counter = std::make_unique<int>(4);
    s.recv(ch, [&handled, counter = std::move(counter)](std::optional<int> v) {
      handled = *v + *counter;
    });
  }
  selector moved = std::move(s);
  EXPECT_EQ(moved.wait(), 0U);
  EXPECT_EQ(handled, 7);
}

TEST(selector, panics_when_it_chooses_to_send_to_a_closed_channel) {
  auto ch = make_chan<int>();
  ch.close();
  selector s;
  s.send(ch, 1);
  EXPECT_THROW(s.wait(), runnel::runtime_error);
  EXPECT_THROW(s.wait(), runnel::runtime_error) << "it is still to be sent";
}

TEST(selector, lets_what_a_handler_throws_out_and_may_be_used_again) {
  auto ch = make_chan<int>(2);
  selector s;
  s.recv(ch, [](std::optional<int> v) {
    if (*v == 1) throw *v;
  });
  ch.send(1);
  ch.send(2);
  EXPECT_THROW(s.wait(), int);
  EXPECT_EQ(s.wait(), 0U);
}

TEST(selector, works_on_plain_threads) {
  run({.max_procs = 2}, [] {
    constexpr int n = 100;
    auto all = make_many(n, 0);
    std::thread t([&] {
      selector s;
      long sum = 0;
      for (auto& ch : all) s.recv(ch, [&](std::optional<int> v) { sum += *v; });
      for (int i = 0; i < 2 * n; ++i) s.wait();
      EXPECT_EQ(sum, 2L * n * (n - 1) / 2);
    });
    for (int k = 0; k < 2; ++k) {
      for (int i = 0; i < n; ++i) all[i].send(i);
    }
    runnel::blocking([&] { t.join(); });
  });
}

TEST(selector, without_cases_blocks_for_ever) {
  run([] {
    auto* waiting = new test::waiting_goroutines;  // as long as it waits
    waiting->go([] { selector().wait(); });
    runnel::sleep(1ms);
    EXPECT_EQ(runnel::num_goroutine(), 2U);
  });
}

}  // namespace
