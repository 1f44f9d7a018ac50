// Stacks of goroutines that park, wake, spawn, end, block and compute meanwhile, asked for without pause: every one shows
// what it does, and nobody is hurt.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <fstream>
#include <initializer_list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "runnel/runnel.h"
#include "sched/runtime.h"
#include "support/dump.h"
#include "support/scale.h"
#include "support/seed.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::run;

struct world {
  std::atomic<bool> stop{false};
  std::atomic<long> steps{0};
  runnel::mutex mu;
  runnel::shared_mutex table;
  runnel::chan<int> values = runnel::make_chan<int>();
  runnel::chan<int> buffered = runnel::make_chan<int>(4);
};

// What each kind does, again and again, in a function of its own that stands on its stack all the time.
using deed = void (*)(world&, runnel::base::random&);

[[gnu::noinline]] void sleeping(world&, runnel::base::random& mine) {
  runnel::sleep(std::chrono::microseconds(mine.below(200)));
  asm volatile("");  // no tail call, here and below
}

[[gnu::noinline]] void sending(world& w, runnel::base::random& mine) {
  runnel::select(runnel::send(w.values, 1), runnel::send(w.buffered, 2), runnel::otherwise);
  runnel::select(runnel::send(w.values, 1), runnel::send(w.buffered, 2),
                 runnel::timeout(std::chrono::microseconds(mine.below(300))));
  asm volatile("");
}

[[gnu::noinline]] void receiving(world& w, runnel::base::random& mine) {
  runnel::select(runnel::recv(w.values), runnel::recv(w.buffered),
                 runnel::timeout(std::chrono::microseconds(mine.below(300))));
  asm volatile("");
}

[[gnu::noinline]] void locking(world& w, runnel::base::random&) {
  std::lock_guard hold(w.mu);
  runnel::yield();
  asm volatile("");
}

[[gnu::noinline]] void looking_up(world& w, runnel::base::random& mine) {
  if (mine.below(4) == 0) {
    std::lock_guard hold(w.table);
  } else {
    w.table.lock_shared();
    runnel::yield();
    w.table.unlock_shared();
  }
  asm volatile("");
}

[[gnu::noinline]] void computing(world&, runnel::base::random& mine) {
  test::compute_for(std::chrono::microseconds(mine.below(300)));
  asm volatile("");
}

void stay_in_the_kernel(std::uint64_t us) {
  timespec time{0, static_cast<long>(us) * 1000};
  ppoll(nullptr, 0, &time, nullptr);
}

[[gnu::noinline]] void blocked(world&, runnel::base::random& mine) {
  std::uint64_t time = mine.below(200);
  runnel::blocking([time] { stay_in_the_kernel(time); });
  asm volatile("");
}

// Returns to the runtime from inside, or leaves by an exception: in the middle of being looked at, if possible.
[[gnu::noinline]] void half_blocked(world&, runnel::base::random& mine) {
  bool leave = mine.below(2) == 0;
  try {
    runnel::blocking([leave] {
      stay_in_the_kernel(20);
      if (leave) throw 1;
      runnel::yield();
    });
  } catch (int) {
  }
  asm volatile("");
}

[[gnu::noinline]] void in_the_kernel(world&, runnel::base::random& mine) {
  stay_in_the_kernel(mine.below(3000));
  asm volatile("");
}

[[gnu::noinline]] void spawning(world& w, runnel::base::random& mine) {
  runnel::wait_group children;
  for (std::uint64_t i = mine.below(4); i > 0; --i) {
    children.go([&w] {
      runnel::yield();
      ++w.steps;
    });
  }
  children.wait();
  asm volatile("");
}

[[gnu::noinline]] void locked(world&, runnel::base::random& mine) {
  runnel::lock_os_thread();
  runnel::sleep(std::chrono::microseconds(mine.below(100)));
  runnel::unlock_os_thread();
  asm volatile("");
}

struct kind {
  const char* name;
  deed what;
};
constexpr std::array kinds{
    kind{"sleeping", &sleeping},
    kind{"sending", &sending},
    kind{"receiving", &receiving},
    kind{"locking", &locking},
    kind{"looking_up", &looking_up},
    kind{"computing", &computing},
    kind{"blocked", &blocked},
    kind{"half_blocked", &half_blocked},
    kind{"in_the_kernel", &in_the_kernel},
    kind{"spawning", &spawning},
    kind{"locked", &locked},
};

[[gnu::noinline]] void live(world& w, const kind& mine, std::uint64_t seed) {
  runnel::base::random choose(seed);
  while (!w.stop) {
    mine.what(w, choose);
    ++w.steps;
  }
  asm volatile("");
}

const kind* kind_of(const test::dumped_goroutine& it) {
  for (const kind& one : kinds) {
    if (it.header.find('"' + std::string(one.name) + '"') != std::string::npos) return &one;
  }
  return nullptr;
}

bool is_one_of(const std::string& line, std::initializer_list<const char*> texts) {
  return std::ranges::any_of(texts, [&](const char* text) { return line == text; });
}

// What is wrong with what one goroutine shows; empty: nothing.
std::string wrong_with(const test::dumped_goroutine& it) {
  if (it.lines.empty()) return "no stack";
  if (it.lines[0].starts_with("\t(")) {
    if (it.state.starts_with("runnable") && it.lines[0] == "\t(it has not begun)") return "";
    if (it.state.starts_with("running") &&
        is_one_of(it.lines[0],
                  {"\t(its thread waits in the kernel)", "\t(its thread does not answer)",
                   "\t(it begins, ends or moves just now)"})) {
      return "";
    }
    return "no stack for no good reason";
  }
  const kind* its = kind_of(it);
  if (its == nullptr || !test::symbols_can_be_had()) return "";
  return it.shows("live") ? "" : "not where it began";
}

class stacks_stress : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(procs, stacks_stress, testing::Values(1, 2, 8));

TEST_P(stacks_stress, every_goroutine_always_shows_what_it_does) {
  std::uint64_t seed = test::seed();
  RUNNEL_TRACE_SEED(seed);
  constexpr int of_each = 4;
  constexpr int dumps_wanted = test::scaled(60);
  world w;
  std::mutex wrongs_lock;
  std::vector<std::string> wrongs;
  std::atomic<int> dumps{0};
  std::atomic<long> walked{0};
  auto ask = [&](bool fold) {
    auto all = test::dump_now({.fold = fold});
    ++dumps;
    std::string wrong;
    if (all.has_one_twice()) wrong = "a goroutine twice";
    if (!fold && all.all().size() < kinds.size() * of_each) wrong = "somebody is missing";
    for (const auto& [id, it] : all.all()) {
      if (!it.lines.empty() && !it.lines[0].starts_with("\t(")) ++walked;
      if (std::string one = wrong_with(it); !one.empty()) wrong = one + ": " + it.header;
    }
    if (wrong.empty()) return;
    std::lock_guard hold(wrongs_lock);
    if (wrongs.size() < 3) wrongs.push_back(wrong + "\n" + all.text());
  };
  run({.max_procs = GetParam()}, [&] {
    runnel::base::random choose(seed);
    runnel::wait_group wg, askers;
    for (const kind& one : kinds) {
      for (int i = 0; i < of_each; ++i) {
        wg.add(1);
        runnel::go({.name = one.name}, [&, s = choose.next()] {
          live(w, one, s);
          wg.done();
        });
      }
    }
    auto end = test::clock::now() + 30s;
    auto goes_on = [&] { return dumps < dumps_wanted && test::clock::now() < end; };
    for (int i = 0; i < 2; ++i) {
      askers.go([&, i] {
        while (goes_on()) ask(i == 1);
      });
    }
    std::jthread outside([&] {
      while (goes_on()) ask(false);
    });
    // The number of Ps changes, too, for those who stop the world must get on with one another.
    for (int i = 0; goes_on(); ++i) {
      runnel::sleep(20ms);
      if (i % 8 == 7) runnel::max_procs(1 + i / 8 % GetParam());
    }
    askers.wait();
    outside.join();
    w.stop = true;
    wg.wait();
    EXPECT_TRUE(test::eventually([] { return runnel::num_goroutine() == 1; }));
    EXPECT_TRUE(test::eventually([] { return runnel::sched::rt().at_large == 0; }));
  });
  EXPECT_GE(dumps, dumps_wanted);
  EXPECT_GT(walked, 100);
  EXPECT_GT(w.steps, 100);
  for (const std::string& wrong : wrongs) ADD_FAILURE() << wrong;
}

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t all = 0, resident = 0;
  file >> all >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

// Memory is that of a batch, and others go on.
TEST(stacks_scale, many_goroutines_are_shown_in_little_memory) {
  constexpr int n = test::alive(30'000);
  constexpr std::size_t growth_max = 8 << 20;
  run({.max_procs = 2}, [&] {
    auto c = runnel::make_chan<int>();
    std::atomic<int> there{0};
    for (int i = 0; i < n; ++i) {
      runnel::go([&, c] {
        ++there;
        (void)c.recv();
      });
    }
    ASSERT_TRUE(test::eventually([&] { return there == n; }));
    int null = open("/dev/null", O_WRONLY);
    runnel::debug::write_stacks(null, {.fold = true});
    std::size_t before = resident_bytes();
    for (bool fold : {true, false}) runnel::debug::write_stacks(null, {.fold = fold});
    std::size_t after = resident_bytes();
    EXPECT_LT(after, before + growth_max);
    std::string text = runnel::debug::stacks({.fold = true});
    EXPECT_NE(text.find(std::to_string(n) + " goroutines with the same stack"), text.npos) << text;
    close(null);
    c.close();
    EXPECT_TRUE(test::eventually([] { return runnel::num_goroutine() == 1; }));
  });
}

}  // namespace
