// Timers and tickers that are set, stopped and received by everybody at once: no value of before is received after.
//
// Each timer is set by one thread only, always for the same time from then, so that its deadlines only grow. What a
// receiver gets is stale if it lies before the deadline that was set last before it began to receive: the floor. And
// what stop() and reset() answer tells exactly how many values have been received.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "runnel/runnel.h"
#include "support/scale.h"
#include "support/seed.h"
#include "support/timers_left.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::recv;
using runnel::run;
using runnel::select;
using runnel::time_point;

using ns = std::chrono::nanoseconds;

class watched_timer {
 public:
  explicit watched_timer(ns after)
      : after_(after), floor_(floor_from_now()), t_(after), waits_for_one_(true) {}

  // By one thread.
  void reset() {
    std::int64_t floor = floor_from_now();
    settle(t_.reset(after_));
    floor_ = floor;
    waits_for_one_ = true;
  }
  void stop() {
    settle(t_.stop());
    waits_for_one_ = false;
    // What comes next is set later than now.
    floor_ = floor_from_now();
    EXPECT_FALSE(t_.c().try_recv()) << "a value after stop()";
  }

  // By anybody. Each begins with the floor.
  std::int64_t floor() const { return floor_; }
  void note(std::int64_t floor, std::optional<time_point> got) {
    if (!got) return;
    ++received_;
    stale_ += got->time_since_epoch().count() < floor;
    early_ += *got > test::clock::now();
  }
  runnel::recv_chan<time_point> c() const { return t_.c(); }

  // When nobody uses it any more.
  void check() {
    stop();
    EXPECT_EQ(stale_, 0);
    EXPECT_EQ(early_, 0);
    EXPECT_EQ(received_, expected_);
  }

 private:
  std::int64_t floor_from_now() const {
    return (test::clock::now() + after_).time_since_epoch().count();
  }
  void settle(bool pending) {
    if (!waits_for_one_) {
      EXPECT_FALSE(pending) << "nothing can be pending after stop()";
    } else if (!pending) {
      ++expected_;
    }
  }

  const ns after_;
  std::atomic<std::int64_t> floor_;
  runnel::timer t_;
  bool waits_for_one_;
  long expected_ = 0;
  std::atomic<long> received_{0}, stale_{0}, early_{0};
};

class timer_stress : public testing::TestWithParam<int> {};

template <class T>
void receive_in_some_way(watched_timer& a, watched_timer& b, T& rng) {
  std::int64_t floor = a.floor(), other_floor = b.floor();
  auto limit = ns(rng.below(60'000));
  switch (rng.below(5)) {
    case 0:
      if (auto got = a.c().try_recv()) a.note(floor, *got);
      break;
    case 1:
      if (auto got = a.c().recv_for(limit)) a.note(floor, *got);
      break;
    case 2:
      select(recv(a.c(), [&](auto got) { a.note(floor, got); }),
             recv(b.c(), [&](auto got) { b.note(other_floor, got); }), runnel::timeout(limit));
      break;
    case 3:
      select(recv(a.c(), [&](auto got) { a.note(floor, got); }),
             recv(a.c(), [&](auto got) { a.note(floor, got); }), recv(runnel::after(limit)));
      break;
    case 4: select(recv(a.c(), [&](auto got) { a.note(floor, got); }), runnel::otherwise); break;
  }
}

template <class T>
void set_in_some_way(watched_timer& t, T& rng) {
  if (rng.below(3) == 0) t.stop();
  if (rng.below(4) != 0) t.reset();
  if (rng.below(4) == 0) test::compute_for(ns(rng.below(30'000)));
  if (rng.below(4) == 0) runnel::yield();
  if (rng.below(16) == 0) runnel::sleep(ns(rng.below(60'000)));
}

TEST_P(timer_stress, nothing_stale_is_received_by_anybody) {
  const std::uint64_t seed = test::seed();
  RUNNEL_TRACE_SEED(seed);
  run({.max_procs = GetParam()}, [&] {
    constexpr std::size_t many = 4;
    std::vector<std::unique_ptr<watched_timer>> timers;
    for (ns after : {0ns, 1'000ns, 10'000ns, 40'000ns}) {
      timers.push_back(std::make_unique<watched_timer>(after));
    }
    std::atomic<bool> stop{false};
    auto receive = [&](std::size_t who) {
      runnel::base::random rng(seed + who);
      while (!stop) {
        std::size_t a = (who + rng.below(2)) % many;
        receive_in_some_way(*timers[a], *timers[(a + 1) % many], rng);
      }
    };
    auto set = [&](std::size_t which) {
      runnel::base::random rng(seed + 100 + which);
      for (int i = 0; i < test::scaled(5'000); ++i) set_in_some_way(*timers[which], rng);
    };
    runnel::wait_group receivers, setters;
    for (std::size_t i = 0; i < 6; ++i) receivers.go([&, i] { receive(i); });
    for (std::size_t i = 0; i < many - 1; ++i) setters.go([&, i] { set(i); });
    std::thread plain_receiver(receive, 6), plain_setter(set, many - 1);
    setters.wait();
    runnel::blocking([&] { plain_setter.join(); });
    stop = true;
    receivers.wait();
    runnel::blocking([&] { plain_receiver.join(); });
    for (auto& t : timers) t->check();
    timers.clear();
    EXPECT_EQ(test::timers_in_heaps(), 0u);
  });
}

TEST_P(timer_stress, nothing_stale_is_received_while_the_number_of_ps_changes) {
  const std::uint64_t seed = test::seed();
  RUNNEL_TRACE_SEED(seed);
  run({.max_procs = GetParam()}, [&] {
    watched_timer a(5us), b(20us);
    std::atomic<bool> stop{false};
    runnel::wait_group receivers;
    for (std::uint64_t i = 0; i < 4; ++i) {
      receivers.go([&, i] {
        runnel::base::random rng(seed + i);
        while (!stop) receive_in_some_way(i % 2 == 0 ? a : b, i % 2 == 0 ? b : a, rng);
      });
    }
    runnel::base::random rng(seed + 100);
    for (int i = 0; i < test::scaled(5'000); ++i) {
      set_in_some_way(a, rng);
      set_in_some_way(b, rng);
      if (i % 50 == 0) runnel::max_procs(1 + static_cast<int>(rng.below(8)));
    }
    stop = true;
    receivers.wait();
    a.check();
    b.check();
    EXPECT_EQ(test::timers_in_heaps(), 0u);
  });
}

TEST_P(timer_stress, every_tick_is_received_at_most_once_and_none_is_stale) {
  const std::uint64_t seed = test::seed();
  RUNNEL_TRACE_SEED(seed);
  run({.max_procs = GetParam()}, [&] {
    constexpr auto period = 20us;
    runnel::ticker t(period);
    std::atomic<std::int64_t> floor{0};
    std::atomic<bool> stop{false};
    std::atomic<long> stale{0};
    std::vector<std::vector<time_point>> seen(5);
    auto receive = [&](std::vector<time_point>& mine, std::uint64_t who) {
      runnel::base::random rng(seed + who);
      while (!stop) {
        std::int64_t least = floor;
        auto got = rng.below(2) == 0 ? t.c().try_recv() : t.c().recv_for(ns(rng.below(100'000)));
        if (!got) continue;
        stale += got->time_since_epoch().count() < least;
        mine.push_back(*got);
      }
    };
    runnel::wait_group receivers;
    for (std::size_t i = 0; i < 4; ++i) receivers.go([&, i] { receive(seen[i], i); });
    std::thread plain([&] { receive(seen[4], 4); });
    runnel::base::random rng(seed + 100);
    for (int i = 0; i < test::scaled(3'000); ++i) {
      if (rng.below(3) == 0) t.stop();
      auto now = test::clock::now();
      t.reset(period);
      floor = (now + period).time_since_epoch().count();
      runnel::sleep(ns(rng.below(100'000)));
    }
    t.stop();
    stop = true;
    receivers.wait();
    runnel::blocking([&] { plain.join(); });
    EXPECT_EQ(stale, 0);
    std::vector<time_point> all;
    for (auto& some : seen) all.insert(all.end(), some.begin(), some.end());
    std::ranges::sort(all);
    EXPECT_TRUE(std::ranges::adjacent_find(all) == all.end());
    EXPECT_FALSE(all.empty());
    EXPECT_EQ(test::timers_in_heaps(), 0u);
  });
}

TEST_P(timer_stress, runs_end_while_timers_fire) {
  const std::uint64_t seed = test::seed();
  RUNNEL_TRACE_SEED(seed);
  runnel::base::random rng(seed);
  for (int round = 0; round < test::scaled(300); ++round) {
    run({.max_procs = GetParam()}, [&] {
      for (int i = 0; i < 8; ++i) {
        runnel::go([d = ns(rng.below(50'000))] {
          runnel::ticker t(d + 1ns);
          for (;;) select(recv(t.c()), recv(runnel::after(d)));
        });
        auto f = runnel::after_func(ns(rng.below(50'000)), [] {});
        if (i % 2 == 0) f.stop();
      }
      runnel::sleep(ns(rng.below(60'000)));
    });
    ASSERT_EQ(test::timers_in_heaps(), 0u);
  }
}

// Plain threads are not stopped with a run: they may be in the middle of anything.
TEST_P(timer_stress, runs_end_while_plain_threads_set_timers_and_wait_for_them) {
  const std::uint64_t seed = test::seed();
  RUNNEL_TRACE_SEED(seed);
  runnel::timer shared(1us);
  std::atomic<long> calls{0};
  std::atomic<bool> stop{false};
  {
    auto f = runnel::after_func(1us, [&] { ++calls; });
    auto work = [&](std::uint64_t who) {
      runnel::base::random rng(seed + who);
      while (!stop) {
        (void)shared.c().recv_for(ns(rng.below(5'000)));
        if (rng.below(2) == 0) shared.reset(ns(rng.below(20'000)));
        if (rng.below(2) == 0) f.reset(ns(rng.below(20'000)));
        if (rng.below(4) == 0) f.stop();
        (void)runnel::after(ns(rng.below(5'000))).recv_for(ns(rng.below(5'000)));
      }
    };
    std::thread a(work, 0), b(work, 1);
    for (int round = 0; round < test::scaled(2'000); ++round) {
      run({.max_procs = GetParam()}, [&] {
        for (int i = 0; i < 4; ++i) runnel::yield();
      });
    }
    stop = true;
    a.join();
    b.join();
    f.stop();
  }
  run([] { EXPECT_EQ(test::timers_in_heaps(), 0u); });
}

INSTANTIATE_TEST_SUITE_P(procs, timer_stress, testing::Values(1, 2, 8));

}  // namespace
