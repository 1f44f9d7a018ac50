// The Go memory model on goroutines, channels, mutexes and wait groups. What must happen before is written to plain
// variables, what happens after reads them: where the order is missing, ThreadSanitizer reports a race.

#include <runnel/select.h>

#include <array>
#include <memory>
#include <mutex>
#include <vector>

#include "programs/conformance.h"

namespace {

using conformance::background, conformance::times;
using runnel::chan, runnel::go, runnel::make_chan;

// What is handed over: larger than a word, so that half of it could be missing.
struct message {
  std::array<long, 8> words{};
  void write(long v) { words.fill(v); }
  bool holds(long v) const {
    for (long w : words) {
      if (w != v) return false;
    }
    return true;
  }
};

CONFORMANCE(memory_model);

// Section "Memory model": within one goroutine, happens-before is at least the order of the program, on whichever
// threads the goroutine runs.
TEST_P(memory_model, a_goroutine_sees_its_own_writes_in_program_order_wherever_it_runs) {
  run([] {
    runnel::wait_group wg;
    for (int g = 0; g < 8; ++g) {
      wg.go([] {
        message own;
        for (int i = 0; i < times(20'000); ++i) {
          own.write(i);
          runnel::yield();
          ASSERT_TRUE(own.holds(i));
        }
      });
    }
    wg.wait();
  });
}

// Section "Goroutine creation": the go statement that starts a goroutine is synchronized before its start.
TEST_P(memory_model, the_go_statement_happens_before_the_start_of_the_goroutine) {
  run([] {
    for (int i = 0; i < times(50'000); ++i) {
      message data;
      data.write(i);
      background other([&] { ASSERT_TRUE(data.holds(i)); });
      ASSERT_TRUE(other.ends());
    }
  });
}

// The same along a chain of goroutines, each started by the one before.
TEST_P(memory_model, go_statements_order_a_chain_of_goroutines) {
  struct chain {
    static void link(long n, long* data, const chan<int>& end) {
      if (*data != n) return end.close();  // the last one finds it wrong
      ++*data;
      if (n < times(50'000)) {
        go(link, n + 1, data, end);
      } else {
        end.send(1);
      }
    }
  };
  run([] {
    long data = 0;
    auto end = make_chan<int>();
    go(chain::link, 0, &data, end);
    EXPECT_EQ(end.recv(), 1);
    EXPECT_EQ(data, times(50'000) + 1);
  });
}

// Section "Channel communication": a send is synchronized before the completion of the receive of its value.
TEST_P(memory_model, a_send_happens_before_the_completion_of_its_receive) {
  run([] {
    for (std::size_t capacity : {0, 1, 10}) {
      const int n = times(50'000);
      std::vector<message> data(static_cast<std::size_t>(n));
      auto ch = make_chan<int>(capacity);
      background sender([&] {
        for (int i = 0; i < n; ++i) {
          data[static_cast<std::size_t>(i)].write(i);
          ch.send(i);
        }
      });
      for (int i = 0; i < n; ++i) {
        int got = *ch.recv();
        ASSERT_TRUE(data[static_cast<std::size_t>(got)].holds(got));
      }
      EXPECT_TRUE(sender.ends());
    }
  });
}

// The same of one variable that goes from hand to hand with the value.
TEST_P(memory_model, what_is_pointed_to_may_be_handed_over_with_the_pointer) {
  run([] {
    for (std::size_t capacity : {0, 3}) {
      auto there = make_chan<std::unique_ptr<message>>(capacity);
      auto back = make_chan<std::unique_ptr<message>>(capacity);
      background other([=] {
        for (std::unique_ptr<message> m : there) {
          m->write(m->words[0] + 1);
          back.send(std::move(m));
        }
      });
      auto m = std::make_unique<message>();
      for (int i = 0; i < times(50'000); ++i) {
        m->write(2L * i);
        there.send(std::move(m));
        m = std::move(*back.recv());
        ASSERT_TRUE(m->holds(2L * i + 1));
      }
      there.close();
      EXPECT_TRUE(other.ends());
    }
  });
}

// Section "Channel communication": the same holds of communication by select.
TEST_P(memory_model, a_send_by_select_happens_before_the_completion_of_its_receive_by_select) {
  run([] {
    for (std::size_t capacity : {0, 2}) {
      const int n = times(50'000);
      std::vector<message> data(static_cast<std::size_t>(n));
      auto a = make_chan<int>(capacity), b = make_chan<int>(capacity);
      background sender([&] {
        for (int i = 0; i < n; ++i) {
          data[static_cast<std::size_t>(i)].write(i);
          runnel::select(runnel::send(a, i), runnel::send(b, i));
        }
      });
      for (int i = 0; i < n; ++i) {
        std::optional<int> got;
        runnel::select(runnel::recv(a, got), runnel::recv(b, got));
        ASSERT_TRUE(data[static_cast<std::size_t>(*got)].holds(*got));
      }
      EXPECT_TRUE(sender.ends());
    }
  });
}

// Section "Channel communication": closing a channel is synchronized before a receive that returns because of it.
TEST_P(memory_model, a_close_happens_before_a_receive_that_returns_because_of_it) {
  run([] {
    for (int i = 0; i < times(20'000); ++i) {
      message data;
      auto ch = make_chan<int>(static_cast<std::size_t>(i % 2));
      auto see = [&] {
        EXPECT_FALSE(ch.recv().has_value());
        EXPECT_TRUE(data.holds(i));
      };
      background a(see), b(see);
      data.write(i);
      ch.close();
      see();
      ASSERT_TRUE(a.ends() && b.ends());
    }
  });
}

// The same of a receive by select.
TEST_P(memory_model, a_close_happens_before_a_select_that_returns_because_of_it) {
  run([] {
    for (int i = 0; i < times(20'000); ++i) {
      message data;
      auto ch = make_chan<int>(), never = make_chan<int>();
      background other([&] {
        EXPECT_EQ(runnel::select(runnel::recv(never), runnel::recv(ch)), 1U);
        EXPECT_TRUE(data.holds(i));
      });
      data.write(i);
      ch.close();
      ASSERT_TRUE(other.ends());
    }
  });
}

// Section "Channel communication": a receive from an unbuffered channel is synchronized before the completion of
// the send.
TEST_P(memory_model, an_unbuffered_receive_happens_before_the_completion_of_the_send) {
  run([] {
    const int n = times(50'000);
    std::vector<message> data(static_cast<std::size_t>(n));
    auto ch = make_chan<int>();
    background receiver([&] {
      for (int i = 0; i < n; ++i) {
        data[static_cast<std::size_t>(i)].write(i);
        ch.recv();
      }
    });
    for (int i = 0; i < n; ++i) {
      ch.send(0);
      ASSERT_TRUE(data[static_cast<std::size_t>(i)].holds(i));
    }
    EXPECT_TRUE(receiver.ends());
  });
}

// The same by select on both sides.
TEST_P(memory_model, an_unbuffered_receive_by_select_happens_before_the_completion_of_the_send) {
  run([] {
    const int n = times(50'000);
    std::vector<message> data(static_cast<std::size_t>(n));
    auto ch = make_chan<int>();
    chan<int> nil;
    background receiver([&] {
      for (int i = 0; i < n; ++i) {
        data[static_cast<std::size_t>(i)].write(i);
        runnel::select(runnel::recv(nil), runnel::recv(ch));
      }
    });
    for (int i = 0; i < n; ++i) {
      runnel::select(runnel::send(ch, 0), runnel::recv(nil));
      ASSERT_TRUE(data[static_cast<std::size_t>(i)].holds(i));
    }
    EXPECT_TRUE(receiver.ends());
  });
}

// Section "Channel communication": the k-th receive on a channel of capacity C is synchronized before the completion
// of the send number k + C.
TEST_P(memory_model, the_kth_receive_happens_before_the_completion_of_send_k_plus_c) {
  run([] {
    for (std::size_t capacity : {1, 2, 7}) {
      const auto n = static_cast<std::size_t>(times(50'000));
      std::vector<message> data(n);
      auto ch = make_chan<int>(capacity);
      background receiver([&] {
        for (std::size_t k = 0; k < n; ++k) {
          data[k].write(static_cast<long>(k));
          ch.recv();
        }
      });
      for (std::size_t k = 0; k < n; ++k) {
        ch.send(0);
        if (k < capacity) continue;
        ASSERT_TRUE(data[k - capacity].holds(static_cast<long>(k - capacity)));
      }
      EXPECT_TRUE(receiver.ends());
    }
  });
}

// Section "Channel communication": so a buffered channel is a counting semaphore: to send acquires, to receive
// releases. With room for one it guards plain variables.
TEST_P(memory_model, a_channel_of_capacity_one_is_a_lock) {
  run([] {
    auto lock = make_chan<int>(1);
    long counter = 0;
    runnel::wait_group wg;
    for (int g = 0; g < 4; ++g) {
      wg.go([&] {
        for (int i = 0; i < times(30'000); ++i) {
          lock.send(1);
          ++counter;
          lock.recv();
        }
      });
    }
    wg.wait();
    EXPECT_EQ(counter, 4L * times(30'000));
  });
}

// The same with room for more: no more than that many are inside.
TEST_P(memory_model, a_channel_of_capacity_c_admits_no_more_than_c) {
  run([] {
    auto limit = make_chan<int>(3);
    std::atomic<int> inside{0}, most{0};
    runnel::wait_group wg;
    for (int g = 0; g < 8; ++g) {
      wg.go([&] {
        for (int i = 0; i < times(10'000); ++i) {
          limit.send(1);
          int now = ++inside, seen = most;
          while (now > seen && !most.compare_exchange_weak(seen, now)) {
          }
          runnel::yield();
          --inside;
          limit.recv();
        }
      });
    }
    wg.wait();
    EXPECT_LE(most, 3);
    EXPECT_GE(most, 1);
  });
}

// Section "Memory model": happens-before is transitive: what one wrote before, those after the next one see.
TEST_P(memory_model, happens_before_is_transitive) {
  run([] {
    for (int i = 0; i < times(10'000); ++i) {
      message data;
      auto a = make_chan<int>(), b = make_chan<int>(1), c = make_chan<int>();
      runnel::mutex mu;
      bool ready = false;
      runnel::wait_group wg;
      wg.go([&] { a.recv(), b.send(1); });
      wg.go([&] { b.recv(), c.close(); });
      wg.go([&] {
        c.recv();
        std::lock_guard hold(mu);
        ready = true;
      });
      data.write(i);
      a.send(1);
      auto is_ready = [&] {
        std::lock_guard hold(mu);
        return ready;
      };
      background last([&] {
        ASSERT_TRUE(test::eventually(is_ready));
        data.write(i + 1);
      });
      wg.wait();
      ASSERT_TRUE(last.ends());
      ASSERT_TRUE(data.holds(i + 1));
    }
  });
}

// Section "Locks": for n < m, the n-th unlock is synchronized before the m-th lock returns.
TEST_P(memory_model, an_unlock_happens_before_later_locks_return) {
  run([] {
    runnel::mutex mu;
    message data;
    long count = 0;
    runnel::wait_group wg;
    for (int g = 0; g < 4; ++g) {
      wg.go([&, g] {
        for (int i = 0; i < times(30'000); ++i) {
          std::lock_guard hold(mu);
          ASSERT_TRUE(data.holds(count));
          data.write(++count);
          if (i % 64 == g) runnel::yield();
        }
      });
    }
    wg.wait();
    EXPECT_EQ(count, 4L * times(30'000));
  });
}

// Section "Locks", the example: one locks twice, the other's unlock lets the second return.
TEST_P(memory_model, an_unlock_by_another_goroutine_happens_before_the_lock_it_lets_return) {
  run([] {
    for (int i = 0; i < times(30'000); ++i) {
      runnel::mutex mu;
      message data;
      mu.lock();
      background other([&] {
        data.write(i);
        mu.unlock();
      });
      mu.lock();
      ASSERT_TRUE(data.holds(i));
      mu.unlock();
      ASSERT_TRUE(other.ends());
    }
  });
}

// Section "Locks": a successful try_lock is like a lock.
TEST_P(memory_model, an_unlock_happens_before_a_later_try_lock_that_succeeds) {
  run([] {
    runnel::mutex mu;
    message data;
    long count = 0;
    runnel::wait_group wg;
    for (int g = 0; g < 4; ++g) {
      wg.go([&] {
        for (int i = 0; i < times(20'000);) {
          if (!mu.try_lock()) {
            runnel::yield();
            continue;
          }
          ASSERT_TRUE(data.holds(count));
          data.write(++count);
          mu.unlock();
          ++i;
        }
      });
    }
    wg.wait();
    EXPECT_EQ(count, 4L * times(20'000));
  });
}

// Package sync, WaitGroup: done is synchronized before the return of any wait that it unblocks.
TEST_P(memory_model, done_happens_before_the_return_of_a_wait_it_unblocks) {
  run([] {
    for (int i = 0; i < times(20'000); ++i) {
      message first, second;
      runnel::wait_group wg;
      wg.add(2);
      go([&] { first.write(i), wg.done(); });
      go([&] { second.write(i), wg.done(); });
      auto wait = [&] {
        wg.wait();
        EXPECT_TRUE(first.holds(i) && second.holds(i));
      };
      background other(wait);
      wait();
      ASSERT_TRUE(other.ends());
    }
  });
}

// Package sync, WaitGroup.Go: the return of the function is synchronized before the return of a wait it unblocks.
TEST_P(memory_model, the_return_of_a_wait_groups_function_happens_before_the_return_of_wait) {
  run([] {
    std::vector<message> data(8);
    for (int i = 0; i < times(20'000); ++i) {
      runnel::wait_group wg;
      for (message& m : data) {
        wg.go([&m, i] { m.write(i); });
      }
      if (i % 2 == 0) {
        wg.wait();
      } else {
        ASSERT_TRUE(wg.wait_for(std::chrono::seconds(30)));
      }
      for (message& m : data) ASSERT_TRUE(m.holds(i));
    }
  });
}

}  // namespace
