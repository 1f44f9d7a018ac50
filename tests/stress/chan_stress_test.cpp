// Many at one channel and at several: senders, receivers and selects, goroutines and plain threads. What was sent is
// received once, each sender's values in their order, and nobody waits for ever: a lost wake-up hangs the test.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "runnel/chan.h"
#include "runnel/runnel.h"
#include "runnel/select.h"
#include "support/counted.h"
#include "support/scale.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::chan;
using runnel::make_chan;
using runnel::run;

// Goroutines, and every third a plain thread if there are to be some.
class crew {
 public:
  explicit crew(bool with_threads) : with_threads_(with_threads) {}
  template <class F>
  void go(F f) {
    if (with_threads_ && ++count_ % 3 == 0) {
      threads_.emplace_back(std::move(f));
    } else {
      wg_.go(std::move(f));
    }
  }
  void wait() {
    wg_.wait();
    runnel::blocking([&] {
      for (auto& t : threads_) t.join();
    });
    threads_.clear();
  }

 private:
  bool with_threads_;
  int count_ = 0;
  std::vector<std::thread> threads_;
  runnel::wait_group wg_;
};

struct message {
  int sender;
  int number;
};

// What one receiver has seen: the numbers of each sender must grow.
class ledger {
 public:
  explicit ledger(int senders) : last_(senders, -1) {}
  void note(message m) {
    if (m.number <= last_[m.sender]) ++disorder;
    last_[m.sender] = m.number;
    ++count;
    sum += m.number;
  }
  static inline std::atomic<long> disorder{0}, count{0}, sum{0};
  static void reset() { disorder = count = sum = 0; }

 private:
  std::vector<int> last_;
};

class chan_stress : public testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(procs, chan_stress, testing::Values(1, 2, 8),
                         [](const auto& param) { return std::to_string(param.param); });

void expect_all(int senders, int each) {
  EXPECT_EQ(ledger::disorder, 0);
  EXPECT_EQ(ledger::count, static_cast<long>(senders) * each);
  EXPECT_EQ(ledger::sum, static_cast<long>(senders) * each * (each - 1) / 2);
}

TEST_P(chan_stress, one_channel_loses_nothing_and_keeps_the_order_of_each_sender) {
  for (bool with_threads : {false, true}) {
    for (std::size_t capacity : {0, 1, 5, 100}) {
      SCOPED_TRACE("capacity " + std::to_string(capacity));
      ledger::reset();
      constexpr int senders = 9, receivers = 7;
      const int each = test::scaled(with_threads ? 1500 : 10'000);
      run({.max_procs = GetParam()}, [&] {
        auto ch = make_chan<message>(capacity);
        crew sending(with_threads), receiving(with_threads);
        for (int s = 0; s < senders; ++s) {
          sending.go([ch, s, each] {
            for (int i = 0; i < each; ++i) ch.send({s, i});
          });
        }
        for (int r = 0; r < receivers; ++r) {
          receiving.go([ch, n = senders] {
            ledger seen(n);
            for (message m : ch) seen.note(m);
          });
        }
        sending.wait();
        ch.close();
        receiving.wait();
      });
      expect_all(senders, each);
    }
  }
}

// Senders and receivers wait, try, wait for some time, and select.
TEST_P(chan_stress, every_way_to_send_meets_every_way_to_receive) {
  for (bool with_threads : {false, true}) {
    for (std::size_t capacity : {0, 3}) {
      test::no_counted_left watch;
      const int each = test::scaled(with_threads ? 600 : 4000);
      constexpr int ways = 4;
      std::vector<std::atomic<int>> seen(2 * ways * each);
      run({.max_procs = GetParam()}, [&] {
        auto ch = make_chan<test::counted>(capacity), never = make_chan<test::counted>();
        crew sending(with_threads), receiving(with_threads);
        for (int s = 0; s < 2 * ways; ++s) {
          sending.go([&, s] {
            for (int i = 0; i < each; ++i) {
              test::counted v(s * each + i);
              switch (s % ways) {
                case 0: ch.send(std::move(v)); break;
                case 1:
                  while (!ch.send_for(v, std::chrono::microseconds(i % 50))) {
                  }
                  break;
                case 2:
                  while (!ch.try_send(v)) runnel::yield();
                  break;
                case 3:
                  while (runnel::select(runnel::send(ch, std::move(v)), runnel::recv(never),
                                        runnel::timeout(std::chrono::microseconds(20 + i % 50))) !=
                         0) {
                  }
                  break;
              }
            }
          });
        }
        for (int r = 0; r < 2 * ways; ++r) {
          receiving.go([&, r] {
            auto note = [&](const test::counted& v) { ++seen[v.value()]; };
            for (int i = 0;; ++i) {
              if (r % ways == 0) {
                auto v = ch.recv();
                if (!v) return;
                note(*v);
              } else if (r % ways == 1) {
                auto v = ch.recv_for(std::chrono::microseconds(i % 40));
                if (v) {
                  note(*v);
                } else if (v.error() == runnel::chan_errc::closed) {
                  return;
                }
              } else if (r % ways == 2) {
                auto v = ch.try_recv();
                if (v) {
                  note(*v);
                } else if (v.error() == runnel::chan_errc::closed) {
                  return;
                } else {
                  runnel::yield();
                }
              } else {
                std::optional<test::counted> v;
                if (runnel::select(runnel::recv(never, v), runnel::recv(ch, v),
                                   runnel::timeout(std::chrono::microseconds(20 + i % 40))) == 1) {
                  if (!v) return;
                  note(*v);
                }
              }
            }
          });
        }
        sending.wait();
        ch.close();
        receiving.wait();
      });
      for (auto& times : seen) ASSERT_EQ(times, 1);
    }
  }
}

// Everybody selects over all channels in an order of his own, to send and to receive.
TEST_P(chan_stress, selects_against_selects_lose_nothing) {
  for (bool with_threads : {false, true}) {
    for (std::size_t capacity : {0, 2}) {
      constexpr int n = 5, parties = 8;
      const int rounds = test::scaled(with_threads ? 2000 : 20'000);
      std::atomic<long> sent{0}, received{0}, left{0};
      run({.max_procs = GetParam()}, [&] {
        std::vector<chan<long>> all;
        for (int i = 0; i < n; ++i) all.push_back(make_chan<long>(capacity));
        crew everybody(with_threads);
        for (int k = 0; k < parties; ++k) {
          everybody.go([&, k] {
            for (int i = 0; i < rounds; ++i) {
              auto& a = all[(i + k) % n];
              auto& b = all[(i * 3 + k) % n];
              auto& c = all[(i * 2 + 3 * k) % n];
              std::optional<long> x, y;
              long v = i + 1;
              std::size_t taken = runnel::select(runnel::send(a, v), runnel::recv(b, x),
                                                 runnel::recv(c, y), runnel::timeout(100us));
              if (taken == 0) sent += i + 1;
              if (taken == 1) received += *x;
              if (taken == 2) received += *y;
            }
          });
        }
        everybody.wait();
        for (auto& ch : all) {
          while (auto v = ch.try_recv()) left += *v;
        }
      });
      EXPECT_EQ(sent, received + left);
    }
  }
}

// Two at a time and the runtime idle between them: no wake-up may be lost.
TEST_P(chan_stress, no_wake_up_is_lost_between_two) {
  for (bool with_threads : {false, true}) {
    const int rounds = test::scaled(with_threads ? 10'000 : 100'000);
    run({.max_procs = GetParam()}, [&] {
      auto there = make_chan<int>(), back = make_chan<int>();
      auto echo = [&] {
        for (int v : there) back.send(v);
      };
      std::optional<std::thread> thread;
      if (with_threads) {
        thread.emplace(echo);
      } else {
        runnel::go(echo);
      }
      for (int i = 0; i < rounds; ++i) {
        there.send(i);
        int got = i % 2 == 0 ? back.recv().value() : -1;
        if (i % 2 != 0) {
          runnel::select(runnel::recv(back, [&](std::optional<int> v) { got = *v; }),
                         runnel::timeout(1h));
        }
        if (got != i) ADD_FAILURE() << got << " for " << i;
      }
      there.close();
      if (thread) runnel::blocking([&] { thread->join(); });
    });
  }
}

// Channels that live for one exchange, with whoever comes last destroying them.
TEST_P(chan_stress, channels_die_while_their_users_leave) {
  test::no_counted_left watch;
  run({.max_procs = GetParam()}, [&] {
    for (int i = 0; i < test::scaled(10'000); ++i) {
      auto ch = make_chan<test::counted>(i % 3);
      runnel::wait_group wg;
      wg.go([ch, i] {
        test::counted v(1);
        ch.send_for(v, std::chrono::microseconds(i % 9));
      });
      wg.go([ch, i] {
        runnel::select(runnel::recv(ch), runnel::timeout(std::chrono::microseconds(i % 7)));
      });
      if (i % 5 == 0) {
        wg.go([ch] {
          test::counted v(2);
          ch.try_send(v);
        });
      }
      ch = {};
      wg.wait();
    }
  });
}

TEST_P(chan_stress, a_close_ends_all_who_wait_or_are_about_to) {
  run({.max_procs = GetParam()}, [&] {
    for (int i = 0; i < test::scaled(3000); ++i) {
      auto ch = make_chan<int>(i % 2), never = make_chan<int>();
      runnel::wait_group wg;
      std::atomic<int> sent{0}, received{0};
      auto unless_closed = [](auto f) {
        try {
          f();
          return true;
        } catch (const runnel::runtime_error&) {
          return false;
        }
      };
      wg.go([&] { sent += unless_closed([&] { ch.send(1); }); });
      wg.go([&] {
        sent += unless_closed([&] { runnel::select(runnel::send(ch, 1), runnel::recv(never)); });
      });
      wg.go([&] { received += ch.recv().has_value(); });
      wg.go([&] {
        std::optional<int> v;
        runnel::select(runnel::recv(never), runnel::recv(ch, v));
        received += v.has_value();
      });
      wg.go([&] { ch.close(); });
      wg.wait();
      while (ch.try_recv()) ++received;
      EXPECT_EQ(sent, received);
    }
  });
}

}  // namespace
