#pragma once
// 200 goroutines on two Ps in a library that blocks, and others beside them that must get on meanwhile.
//
// What is checked is counted, not timed: every answer is right, and while all 200 are in a call that will not return before
// somebody else has called too, others go on for a hundred rounds and then make that call. How long others wait
// while the library is busy is printed: it depends on what else the machine does.

#include <runnel/runnel.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

namespace peers {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

inline constexpr int goroutines = 200;

// A library, as goroutine `who` calls it. Each returns whether the answer was right.
struct library {
  std::function<bool(int who, int n)> ask;  // slow if n is odd
  std::function<bool(int who)> hold;        // returns when release() has been called
  std::function<bool()> release;
};

// From 0.05 to 0.1, so that not all answers come at once.
inline std::string slow_seconds(int who) { return std::to_string(0.05 + who * 0.00025); }

// Whether calls are announced by blocking().
enum class calls { announced, unannounced };

template <class F>
decltype(auto) call(calls how, F&& f) {
  if (how == calls::announced) return runnel::blocking(std::forward<F>(f));
  return std::forward<F>(f)();
}

class latency {
 public:
  explicit latency(const char* what) : what_(what) {}
  void note(clock::duration time) { times_.push_back(time); }
  void print() {
    std::sort(times_.begin(), times_.end());
    std::printf("  %-9s", what_);
    for (double share : {0.5, 0.9, 0.99, 1.0}) {
      auto at = static_cast<std::size_t>(share * static_cast<double>(times_.size() - 1));
      std::printf("  p%.0f %.2f ms", share * 100,
                  std::chrono::duration<double, std::milli>(times_[at]).count());
    }
    std::printf("  of %zu\n", times_.size());
  }

 private:
  const char* what_;
  std::vector<clock::duration> times_;
};

// One that answers what it is sent.
class echo {
 public:
  echo() {
    answering_.go([to = to_, from = from_] {
      for (int n : to) from.send(n);
    });
  }
  ~echo() {
    to_.close();
    answering_.wait();
  }
  bool ask(int n) const {
    to_.send(n);
    return from_.recv() == n;
  }

 private:
  runnel::chan<int> to_ = runnel::make_chan<int>(), from_ = runnel::make_chan<int>();
  runnel::wait_group answering_;
};

// All 200 are held; others make a hundred rounds; then they are let go.
inline bool others_get_on(const library& lib) {
  std::atomic<int> inside{0}, wrong{0};
  runnel::wait_group held;
  for (int who = 0; who < goroutines; ++who) {
    held.go([&, who] {
      ++inside;
      wrong += !lib.hold(who);
      --inside;
    });
  }
  while (inside != goroutines && wrong == 0) runnel::yield();
  echo other;
  for (int n = 0; n < 100; ++n) {
    wrong += !other.ask(n);
    runnel::sleep(10us);
  }
  bool all_were_held = inside == goroutines;
  wrong += !lib.release();
  held.wait();
  if (all_were_held && wrong == 0) return true;
  std::printf("  held: %s, %d wrong\n", all_were_held ? "all" : "not all", wrong.load());
  return false;
}

// Each of the 200 asks so often; others note how long they wait for a timer, for an answer, for their turn. They follow a
// plan: one long wait counts as all the short ones in whose place it stands.
inline bool is_answered(const library& lib, int times) {
  std::atomic<bool> over{false};
  std::atomic<int> wrong{0};
  latency timer("timer"), answer("answer"), turn("turn");
  runnel::wait_group askers, bystanders;
  auto every_ms = [&](auto f) {
    bystanders.go([&over, f] {
      auto due = clock::now();
      for (int n = 0; !over; ++n) {
        due += 1ms;
        runnel::sleep_until(due);
        f(due, n);
      }
    });
  };
  echo other;
  every_ms([&](clock::time_point due, int n) {
    auto woken = clock::now();
    timer.note(woken - due);
    wrong += !other.ask(n);
    answer.note(clock::now() - woken);
  });
  every_ms([&](clock::time_point, int) {
    auto before = clock::now();
    runnel::yield();
    turn.note(clock::now() - before);
  });
  auto begun = clock::now();
  for (int who = 0; who < goroutines; ++who) {
    askers.go([&, who] {
      for (int n = 0; n < times; ++n) wrong += !lib.ask(who, n);
    });
  }
  askers.wait();
  std::chrono::duration<double> took = clock::now() - begun;
  over = true;
  bystanders.wait();
  std::printf("  %d calls, %d wrong, %.2f s\n", goroutines * times, wrong.load(), took.count());
  for (latency* l : {&timer, &answer, &turn}) l->print();
  return wrong == 0;
}

// main() of the programs: where the server is, how often each asks. make(where, how) returns a library.
template <class Make>
int beside(int argc, char** argv, Make make) {
  std::string where = argc > 1 ? argv[1] : "";
  int times = argc > 2 ? std::atoi(argv[2]) : 20;
  return runnel::run({.max_procs = 2}, [&] {
    bool right = true;
    for (calls how : {calls::announced, calls::unannounced}) {
      std::printf("%s:\n", how == calls::announced ? "announced" : "unannounced");
      library lib = make(where, how);
      right = others_get_on(lib) && is_answered(lib, times) && right;
      std::fflush(stdout);
    }
    return right ? 0 : 1;
  });
}

}  // namespace peers
