// The documentation of package sync on Mutex and RWMutex.

#include <runnel/sync.h>

#include <mutex>
#include <shared_mutex>

#include "programs/conformance.h"
#include "support/death.h"

namespace {

using conformance::background, conformance::times;
using runnel::mutex, runnel::shared_mutex, runnel::wait_group;

CONFORMANCE(sync_mutex);

// Mutex: the zero value is an unlocked mutex.
TEST_P(sync_mutex, is_unlocked_at_first) {
  run([] {
    mutex mu;
    EXPECT_TRUE(mu.try_lock());
    mu.unlock();
  });
}

// Mutex.Lock: if the lock is in use already, the caller blocks until the mutex is available.
TEST_P(sync_mutex, blocks_who_locks_it_until_it_is_available) {
  run([] {
    mutex mu;
    mu.lock();
    background other([&] { std::lock_guard hold(mu); });
    EXPECT_TRUE(other.stays_blocked());
    mu.unlock();
    EXPECT_TRUE(other.ends());
  });
}

// Mutex.TryLock: tries to lock it and reports whether it succeeded; it does not block.
TEST_P(sync_mutex, tells_whether_try_lock_succeeded) {
  run([] {
    mutex mu;
    EXPECT_TRUE(mu.try_lock());
    EXPECT_FALSE(mu.try_lock());
    background other([&] { EXPECT_FALSE(mu.try_lock()); });
    EXPECT_TRUE(other.ends());
    mu.unlock();
    EXPECT_TRUE(mu.try_lock());
    mu.unlock();
  });
}

// Mutex.Unlock: to unlock one that is not locked is a run-time error, which cannot be recovered.
TEST_P(sync_mutex, cannot_be_unlocked_while_it_is_not_locked) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(run([] {
                mutex mu;
                try {
                  mu.unlock();
                } catch (...) {
                }
              }),
              test::exits_with_2, "fatal error: sync: unlock of unlocked mutex");
}

// Mutex.Unlock: a locked mutex is not associated with a goroutine: one may lock it, another unlock it.
TEST_P(sync_mutex, may_be_unlocked_by_another_goroutine) {
  run([] {
    mutex mu;
    mu.lock();
    background other([&] { mu.unlock(); });
    EXPECT_TRUE(other.ends());
    EXPECT_TRUE(mu.try_lock());
    mu.unlock();
  });
}

CONFORMANCE(sync_rwmutex);

// RWMutex: the zero value is an unlocked mutex.
TEST_P(sync_rwmutex, is_unlocked_at_first) {
  run([] {
    shared_mutex mu, other;
    EXPECT_TRUE(mu.try_lock());
    EXPECT_TRUE(other.try_lock_shared());
    mu.unlock();
    other.unlock_shared();
  });
}

// RWMutex: it can be held by any number of readers.
TEST_P(sync_rwmutex, can_be_held_by_any_number_of_readers) {
  run([] {
    shared_mutex mu;
    constexpr int n = 500;
    std::atomic<int> inside{0};
    wait_group gate, readers;
    gate.add(1);
    for (int i = 0; i < n; ++i) {
      readers.go([&] {
        std::shared_lock hold(mu);
        ++inside;
        gate.wait();
      });
    }
    EXPECT_TRUE(test::eventually([&] { return inside == n; }));
    EXPECT_TRUE(mu.try_lock_shared());
    EXPECT_FALSE(mu.try_lock());
    mu.unlock_shared();
    gate.done();
    readers.wait();
    EXPECT_TRUE(mu.try_lock());
    mu.unlock();
  });
}

// RWMutex: or by a single writer.
TEST_P(sync_rwmutex, can_be_held_by_a_single_writer) {
  run([] {
    shared_mutex mu;
    std::atomic<int> readers{0}, writers{0}, wrong{0};
    wait_group wg;
    for (int g = 0; g < 6; ++g) {
      wg.go([&, g] {
        for (int i = 0; i < times(1000); ++i) {
          if (g < 2) {
            std::lock_guard hold(mu);
            wrong += ++writers != 1 || readers != 0;
            runnel::yield();
            --writers;
          } else {
            std::shared_lock hold(mu);
            ++readers;
            wrong += writers != 0;
            runnel::yield();
            --readers;
          }
        }
      });
    }
    wg.wait();
    EXPECT_EQ(wrong, 0);
  });
}

// RWMutex.Lock: if it is locked for reading or writing already, it blocks until the lock is available.
TEST_P(sync_rwmutex, blocks_writers_while_it_is_locked_either_way) {
  run([] {
    shared_mutex mu;
    mu.lock_shared();
    mu.lock_shared();
    background writer([&] { std::lock_guard hold(mu); });
    EXPECT_TRUE(writer.stays_blocked());
    mu.unlock_shared();
    EXPECT_TRUE(writer.stays_blocked());  // one reader is left
    mu.unlock_shared();
    EXPECT_TRUE(writer.ends());
    mu.lock();
    background other([&] { std::lock_guard hold(mu); });
    EXPECT_TRUE(other.stays_blocked());
    mu.unlock();
    EXPECT_TRUE(other.ends());
  });
}

// RWMutex.RLock: blocks while a writer has it.
TEST_P(sync_rwmutex, blocks_readers_while_it_is_locked_for_writing) {
  run([] {
    shared_mutex mu;
    mu.lock();
    EXPECT_FALSE(mu.try_lock_shared());
    EXPECT_FALSE(mu.try_lock());
    background a([&] { std::shared_lock hold(mu); });
    background b([&] { std::shared_lock hold(mu); });
    EXPECT_TRUE(a.stays_blocked() && b.stays_blocked());
    mu.unlock();
    EXPECT_TRUE(a.ends() && b.ends());
  });
}

// RWMutex: once a writer waits, concurrent readers block until it has acquired and released the lock, so that the lock
// becomes available to it eventually.
TEST_P(sync_rwmutex, keeps_new_readers_out_while_a_writer_waits) {
  run([] {
    shared_mutex mu;
    std::atomic<bool> written{false}, read_before{false};
    mu.lock_shared();
    background writer([&] {
      std::lock_guard hold(mu);
      written = true;
    });
    EXPECT_TRUE(test::eventually([&] {  // until it waits
      if (!mu.try_lock_shared()) return true;
      mu.unlock_shared();
      return false;
    }));
    background reader([&] {
      std::shared_lock hold(mu);
      read_before = !written;
    });
    EXPECT_TRUE(reader.stays_blocked());
    EXPECT_FALSE(written);
    mu.unlock_shared();
    EXPECT_TRUE(writer.ends() && reader.ends());
    EXPECT_FALSE(read_before);
  });
}

// The same as its purpose: readers whose holds always overlap do not keep a writer out for ever.
TEST_P(sync_rwmutex, becomes_available_to_a_writer_among_overlapping_readers) {
  run([] {
    shared_mutex mu;
    std::atomic<bool> stop{false};
    std::atomic<int> inside{0};
    wait_group readers;
    for (int g = 0; g < 4; ++g) {
      readers.go([&] {
        while (!stop) {
          std::shared_lock hold(mu);
          ++inside;
          // Not alone, if others come: holds overlap.
          for (int i = 0; i < 50 && inside < 2 && !stop; ++i) runnel::yield();
          --inside;
        }
      });
    }
    for (int i = 0; i < times(100); ++i) std::lock_guard hold(mu);
    stop = true;
    readers.wait();
  });
}

// RWMutex.RUnlock: undoes one RLock; it does not affect other readers at the same time.
TEST_P(sync_rwmutex, unlocked_by_one_reader_is_still_held_by_the_others) {
  run([] {
    shared_mutex mu;
    for (int i = 0; i < 3; ++i) mu.lock_shared();
    for (int i = 0; i < 3; ++i) {
      EXPECT_FALSE(mu.try_lock());
      mu.unlock_shared();
    }
    EXPECT_TRUE(mu.try_lock());
    mu.unlock();
  });
}

// RWMutex.Unlock: it is a run-time error if it is not locked for writing.
TEST_P(sync_rwmutex, cannot_be_unlocked_while_it_is_not_locked_for_writing) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(run([] {
                shared_mutex mu;
                mu.unlock();
              }),
              test::exits_with_2, "fatal error: sync: Unlock of unlocked RWMutex");
  EXPECT_EXIT(run([] {
                shared_mutex mu;
                mu.lock_shared();
                mu.unlock();
              }),
              test::exits_with_2, "fatal error: sync: Unlock of unlocked RWMutex");
}

// RWMutex.RUnlock: it is a run-time error if it is not locked for reading.
TEST_P(sync_rwmutex, cannot_be_unlocked_by_a_reader_while_it_is_not_locked_for_reading) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(run([] {
                shared_mutex mu;
                mu.unlock_shared();
              }),
              test::exits_with_2, "fatal error: sync: RUnlock of unlocked RWMutex");
}

// RWMutex.Unlock: as with a Mutex, another goroutine may unlock it, for either kind of lock.
TEST_P(sync_rwmutex, may_be_unlocked_by_another_goroutine) {
  run([] {
    shared_mutex mu;
    for (int i = 0; i < times(500); ++i) {  // more often than it takes to become mostly read
      mu.lock_shared();
      background reader([&] { mu.unlock_shared(); });
      ASSERT_TRUE(reader.ends());
    }
    mu.lock();
    background writer([&] { mu.unlock(); });
    EXPECT_TRUE(writer.ends());
    EXPECT_TRUE(mu.try_lock());
    mu.unlock();
  });
}

}  // namespace
