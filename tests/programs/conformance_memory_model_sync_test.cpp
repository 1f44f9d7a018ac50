// The Go memory model on RWMutex, Once and atomic values, and what package sync says in its terms of Cond, Pool and Map.
// What must happen before is written to plain variables, what happens after reads them: where the order is missing,
// ThreadSanitizer reports a race.

#include <runnel/chan.h>
#include <runnel/sync.h>

#include <array>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <vector>

#include "programs/conformance.h"

namespace {

using conformance::background, conformance::times;
using runnel::mutex, runnel::shared_mutex, runnel::wait_group;

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
  bool whole() const { return holds(words[0]); }
};

CONFORMANCE(memory_model_locks);

// Section "Locks": a reader's lock returns after some n-th unlock of a writer.
TEST_P(memory_model_locks, a_writers_unlock_happens_before_the_return_of_later_read_locks) {
  run([] {
    shared_mutex mu;
    message data;
    wait_group wg;
    for (int g = 0; g < 4; ++g) {
      wg.go([&, g] {
        long last = 0;
        for (int i = 0; i < times(20'000); ++i) {
          if (i % 100 == g) {
            std::lock_guard hold(mu);
            data.write(data.words[0] + 1);
          } else {
            std::shared_lock hold(mu);
            ASSERT_TRUE(data.whole());
            ASSERT_GE(data.words[0], last);
            last = data.words[0];
          }
          if (i % 256 == g) runnel::yield();
        }
      });
    }
    wg.wait();
    EXPECT_TRUE(data.holds(4L * times(20'000) / 100));
  });
}

// Section "Locks": and the matching unlock happens before the writer's lock number n + 1 returns: what readers have
// written, each in its own place, the writer sees, and may change.
TEST_P(memory_model_locks, a_readers_unlock_happens_before_the_return_of_later_locks) {
  run([] {
    shared_mutex mu;
    std::array<message, 4> own;
    std::array<long, 4> written{};
    std::atomic<bool> stop{false};
    wait_group readers;
    for (std::size_t g = 0; g < 4; ++g) {
      readers.go([&, g] {
        for (long i = 1; !stop; ++i) {
          {
            std::shared_lock hold(mu);
            own[g].write(++written[g]);
          }
          if (i % 16 == 0) runnel::yield();
        }
      });
    }
    for (int i = 0; i < times(3000); ++i) {
      std::lock_guard hold(mu);
      for (std::size_t g = 0; g < 4; ++g) {
        ASSERT_TRUE(own[g].holds(written[g]));
        own[g].write(written[g] = 0);
      }
    }
    stop = true;
    readers.wait();
  });
}

// Section "Locks": between writers it is as with a Mutex.
TEST_P(memory_model_locks, a_writers_unlock_happens_before_the_return_of_later_write_locks) {
  run([] {
    shared_mutex mu;
    message data;
    long count = 0;
    wait_group wg;
    for (int g = 0; g < 4; ++g) {
      wg.go([&, g] {
        for (int i = 0; i < times(20'000); ++i) {
          std::lock_guard hold(mu);
          ASSERT_TRUE(data.holds(count));
          data.write(++count);
          if (i % 64 == g) runnel::yield();
        }
      });
    }
    wg.wait();
    EXPECT_EQ(count, 4L * times(20'000));
  });
}

// Section "Locks": a call of a try that succeeds is like the lock.
TEST_P(memory_model_locks, an_unlock_happens_before_the_return_of_a_try_that_succeeds) {
  run([] {
    shared_mutex mu;
    message data;
    wait_group wg;
    for (int g = 0; g < 4; ++g) {
      wg.go([&, g] {
        for (int i = 0; i < times(20'000); ++i) {
          if (i % 8 == g) {
            if (!mu.try_lock()) continue;
            data.write(data.words[0] + 1);
            mu.unlock();
          } else {
            if (!mu.try_lock_shared()) continue;
            ASSERT_TRUE(data.whole());
            mu.unlock_shared();
          }
        }
      });
    }
    wg.wait();
    EXPECT_TRUE(data.whole());
  });
}

CONFORMANCE(memory_model_once);

// Section "Once": the return of the one call of f is synchronized before the return of any call with that once.
TEST_P(memory_model_once, the_return_of_the_function_happens_before_the_return_of_every_call) {
  run([] {
    for (int i = 0; i < times(10'000); ++i) {
      runnel::once once;
      message data;
      auto use = [&] {
        once.call([&] { data.write(i); });
        ASSERT_TRUE(data.holds(i));
      };
      background a(use), b(use);
      use();
      ASSERT_TRUE(a.ends() && b.ends());
    }
  });
}

// The same of the functions that OnceFunc and OnceValue return.
TEST_P(memory_model_once,
       the_return_of_the_function_happens_before_the_return_of_once_func_and_once_value) {
  run([] {
    for (int i = 0; i < times(5000); ++i) {
      message one, other;
      auto f = runnel::once_func([&] { one.write(i); });
      auto v = runnel::once_value([&] {
        other.write(i);
        return &other;
      });
      auto use = [&] {
        f();
        ASSERT_TRUE(one.holds(i));
        ASSERT_TRUE(v()->holds(i));
      };
      background a(use), b(use);
      use();
      ASSERT_TRUE(a.ends() && b.ends());
    }
  });
}

CONFORMANCE(memory_model_atomics);

// Section "Atomic Values": if one operation observes the effect of another, that is synchronized before it.
TEST_P(memory_model_atomics, a_store_happens_before_a_load_that_observes_it) {
  run([] {
    const int n = times(20'000);
    std::vector<message> data(static_cast<std::size_t>(n) + 1);
    runnel::atomic_value<int> published;
    background writer([&] {
      for (int i = 1; i <= n; ++i) {
        data[static_cast<std::size_t>(i)].write(i);
        published.store(i);
        if (i % 100 == 0) runnel::yield();
      }
    });
    auto read = [&] {
      for (int seen = 0; seen < n; runnel::yield()) {
        auto now = published.load();
        if (now == nullptr) continue;
        ASSERT_GE(*now, seen);
        for (; seen < *now; ++seen) {
          ASSERT_TRUE(data[static_cast<std::size_t>(seen) + 1].holds(seen + 1));
        }
      }
    };
    background other(read);
    read();
    EXPECT_TRUE(other.ends() && writer.ends());
  });
}

// The same of swap and compare_exchange, which both read and write: as a lock they guard plain variables.
TEST_P(memory_model_atomics, swap_and_compare_exchange_order_what_they_guard) {
  run([] {
    runnel::atomic_value<int> by_swap(0), by_exchange(0);
    auto free = by_exchange.load();
    message first, second;
    long count = 0;
    wait_group wg;
    for (int g = 0; g < 4; ++g) {
      wg.go([&] {
        for (int i = 0; i < times(2000); ++i) {
          while (*by_swap.swap(1) == 1) runnel::yield();
          first.write(first.words[0] + 1);
          (void)by_swap.swap(0);
        }
        for (int i = 0; i < times(2000); ++i) {
          for (;;) {
            auto old = by_exchange.load();
            if (*old == 0 && by_exchange.compare_exchange(old, 1)) break;
            runnel::yield();
          }
          second.write(++count);
          by_exchange.store(0);
        }
      });
    }
    wg.wait();
    EXPECT_TRUE(first.holds(4L * times(2000)));
    EXPECT_TRUE(second.holds(4L * times(2000)));
  });
}

// Section "Atomic Values": all atomic operations appear in one sequentially consistent order: of two who store and then
// load what the other stores, one sees the other.
TEST_P(memory_model_atomics, have_one_sequentially_consistent_order) {
  run([] {
    for (int i = 0; i < times(20'000); ++i) {
      runnel::atomic_value<int> x(0), y(0);
      int seen_y = -1, seen_x = -1;
      background other([&] {
        x.store(1);
        seen_y = *y.load();
      });
      y.store(1);
      seen_x = *x.load();
      ASSERT_TRUE(other.ends());
      ASSERT_GE(seen_x + seen_y, 1);
    }
  });
}

CONFORMANCE(memory_model_sync);

// Package sync, Cond: a Signal or Broadcast is synchronized before the wait that it unblocks. What is written after
// the lock was given back is ordered by nothing else.
TEST_P(memory_model_sync, a_notification_happens_before_the_return_of_the_wait_it_unblocks) {
  run([] {
    mutex mu;
    runnel::cond c(mu);
    for (int i = 0; i < times(5000); ++i) {
      message data;
      bool waits = false;
      background waiting([&] {
        std::lock_guard hold(mu);
        waits = true;
        c.wait();
        ASSERT_TRUE(data.holds(i));
      });
      ASSERT_TRUE(test::eventually([&] {
        std::lock_guard hold(mu);
        return waits;
      }));
      data.write(i);
      if (i % 2 == 0) {
        c.notify_one();
      } else {
        c.notify_all();
      }
      ASSERT_TRUE(waiting.ends());
    }
  });
}

// Package sync, Pool: a Put of an item is synchronized before the Get that returns it.
TEST_P(memory_model_sync, a_put_happens_before_the_get_that_returns_the_item) {
  run([] {
    std::vector<std::unique_ptr<message>> all;
    mutex mu;
    runnel::pool<message*> pool([&] {
      std::lock_guard hold(mu);
      all.push_back(std::make_unique<message>());
      return all.back().get();
    });
    wait_group wg;
    for (int g = 0; g < 8; ++g) {
      wg.go([&, g] {
        for (int i = 0; i < times(10'000); ++i) {
          message* m = pool.get();
          ASSERT_TRUE(m->whole());
          m->write(m->words[0] + 1);
          if (i % 32 == g) runnel::yield();
          pool.put(m);
        }
      });
    }
    wg.wait();
    long sum = 0;
    for (auto& m : all) sum += m->words[0];
    EXPECT_EQ(sum, 8L * times(10'000));
  });
}

// Package sync, Map: a write is synchronized before a read that observes it. Here: store and load.
TEST_P(memory_model_sync, a_store_in_a_map_happens_before_a_load_that_observes_it) {
  run([] {
    const int n = times(10'000);
    std::vector<message> data(static_cast<std::size_t>(n));
    runnel::sync_map<int, message*> m;
    background writer([&] {
      for (int i = 0; i < n; ++i) {
        message& d = data[static_cast<std::size_t>(i)];
        d.write(i);
        m.store(i, &d);
        if (i % 50 == 0) runnel::yield();
      }
    });
    background ranging([&] {
      while (m.size() < static_cast<std::size_t>(n)) {
        m.range([](int key, message* d) {
          EXPECT_TRUE(d->holds(key));
          return key % 100 != 99;
        });
        runnel::yield();
      }
    });
    for (int i = 0; i < n; ++i) {
      std::optional<message*> found;
      while (!(found = m.load(i))) runnel::yield();
      ASSERT_TRUE((*found)->holds(i));
    }
    EXPECT_TRUE(writer.ends() && ranging.ends());
  });
}

// The same of the operations that both read and write: swap, load_and_erase with load_or_store, and compare_and_swap, each
// used as a lock.
TEST_P(memory_model_sync, operations_of_a_map_that_read_and_write_order_what_they_guard) {
  run([] {
    const int n = times(3000);
    runnel::sync_map<int, int> m;
    std::array<message, 3> guarded;
    auto next = [](message& of) { of.write(of.words[0] + 1); };
    m.store(0, 1), m.store(1, 1), m.store(2, 1);  // 1: free
    wait_group wg;
    for (int g = 0; g < 4; ++g) {
      wg.go([&] {
        for (int i = 0; i < n; ++i) {
          while (*m.swap(0, 0) == 0) runnel::yield();
          next(guarded[0]);
          EXPECT_EQ(m.swap(0, 1), 0);
          while (!m.load_and_erase(1)) runnel::yield();
          next(guarded[1]);
          EXPECT_FALSE(m.load_or_store(1, 1).loaded);
          while (!m.compare_and_swap(2, 1, 0)) runnel::yield();
          next(guarded[2]);
          EXPECT_TRUE(m.compare_and_swap(2, 0, 1));
        }
      });
    }
    wg.wait();
    for (message& of : guarded) EXPECT_TRUE(of.holds(4L * n));
  });
}

}  // namespace
