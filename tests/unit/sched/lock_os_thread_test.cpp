#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

#include "runnel/runnel.h"
#include "support/scale.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::run;

void park_in_every_way(int i) {
  switch (i % 4) {
    case 0: runnel::yield(); break;
    case 1: runnel::sleep(20us); break;
    case 2: runnel::blocking([] { test::compute_for(5us); }); break;
    default: {
      runnel::wait_group wg;
      wg.go([] { runnel::yield(); });
      wg.wait();
    }
  }
}

bool thread_exists(int tid) { return syscall(SYS_tgkill, getpid(), tid, 0) == 0; }

TEST(lock_os_thread, keeps_the_goroutine_on_its_thread) {
  run({.max_procs = 4}, [] {
    std::atomic<int> moved{0};
    runnel::wait_group wg;
    for (int i = 0; i < 10; ++i) {
      wg.go([&, i] {
        runnel::lock_os_thread();
        int tid = gettid();
        for (int k = 0; k < test::scaled(200); ++k) {
          park_in_every_way(i + k);
          moved += gettid() != tid;
        }
        runnel::unlock_os_thread();
      });
    }
    wg.wait();
    EXPECT_EQ(moved, 0);
  });
}

TEST(lock_os_thread, keeps_all_others_off_that_thread) {
  run({.max_procs = 2}, [] {
    std::atomic<int> locked_tid{0}, trespassers{0};
    std::atomic<bool> stop{false};
    runnel::wait_group wg;
    for (int i = 0; i < 20; ++i) {
      wg.go([&, i] {
        while (!stop) {
          trespassers += gettid() == locked_tid;
          park_in_every_way(i);
        }
      });
    }
    runnel::lock_os_thread();
    locked_tid = gettid();
    for (int k = 0; k < test::scaled(500); ++k) park_in_every_way(k);
    stop = true;
    wg.wait();
    EXPECT_EQ(trespassers, 0);
    locked_tid = 0;
    runnel::unlock_os_thread();
  });
}

TEST(lock_os_thread, works_on_a_single_p) {
  run({.max_procs = 1}, [] {
    runnel::wait_group wg;
    std::atomic<int> moved{0};
    for (int i = 0; i < 3; ++i) {
      wg.go([&, i] {
        runnel::lock_os_thread();
        int tid = gettid();
        for (int k = 0; k < 50; ++k) {
          park_in_every_way(i + k);
          moved += gettid() != tid;
        }
        runnel::unlock_os_thread();
      });
    }
    wg.wait();
    EXPECT_EQ(moved, 0);
  });
}

TEST(lock_os_thread, nests) {
  run({.max_procs = 4}, [] {
    runnel::lock_os_thread();
    runnel::lock_os_thread();
    int tid = gettid();
    runnel::unlock_os_thread();
    for (int k = 0; k < 50; ++k) {
      park_in_every_way(k);
      ASSERT_EQ(gettid(), tid);
    }
    runnel::unlock_os_thread();
    runnel::unlock_os_thread();  // one too many does nothing
    runnel::lock_os_thread();
    tid = gettid();
    for (int k = 0; k < 20; ++k) {
      park_in_every_way(k);
      ASSERT_EQ(gettid(), tid);
    }
    runnel::unlock_os_thread();
  });
}

TEST(lock_os_thread, an_unlocked_goroutine_moves_again) {
  run({.max_procs = 4}, [] {
    std::atomic<bool> moved{false};
    runnel::wait_group wg;
    for (int i = 0; i < 8; ++i) {
      wg.go([&, i] {
        runnel::lock_os_thread();
        runnel::unlock_os_thread();
        int tid = gettid();
        auto end = test::clock::now() + 10s;
        for (int k = 0; !moved && test::clock::now() < end; ++k) {
          park_in_every_way(i + k);
          if (gettid() != tid) moved = true;
        }
      });
    }
    wg.wait();
    EXPECT_TRUE(moved);
  });
}

TEST(lock_os_thread, the_thread_of_a_goroutine_that_ends_locked_ends_too) {
  run({.max_procs = 2}, [] {
    for (int i = 0; i < 10; ++i) {
      std::atomic<int> tid{0};
      runnel::wait_group wg;
      wg.go([&] {
        runnel::lock_os_thread();
        tid = gettid();
        runnel::sleep(10us);
      });
      wg.wait();
      ASSERT_TRUE(test::eventually([&] { return !thread_exists(tid); }));
    }
  });
}

TEST(lock_os_thread, the_thread_of_a_goroutine_that_ends_unlocked_stays) {
  run({.max_procs = 1}, [] {
    std::atomic<int> tid{0};
    runnel::wait_group wg;
    wg.go([&] {
      runnel::lock_os_thread();
      tid = gettid();
      runnel::unlock_os_thread();
    });
    wg.wait();
    runnel::sleep(5ms);
    EXPECT_TRUE(thread_exists(tid));
  });
}

TEST(lock_os_thread, main_may_end_while_goroutines_are_locked) {
  for (int round = 0; round < 20; ++round) {
    run({.max_procs = 4}, [] {
      for (int i = 0; i < 5; ++i) {
        runnel::go([i] {
          runnel::lock_os_thread();
          for (int k = i;; ++k) park_in_every_way(k);
        });
      }
      runnel::lock_os_thread();
      runnel::sleep(500us);
    });
  }
  // Their threads serve others: there are not more of them with every run.
  EXPECT_TRUE(test::eventually([] { return test::thread_count() < 60; })) << test::thread_count();
}

TEST(lock_os_thread, a_revoked_goroutine_comes_back_on_its_thread) {
  run({.max_procs = 1}, [] {
    runnel::lock_os_thread();
    int tid = gettid();
    for (int i = 0; i < 3; ++i) {
      std::atomic<bool> other_ran{false};
      runnel::go([&] { other_ran = true; });
      EXPECT_TRUE(test::compute_until([&] { return other_ran.load(); }));
      runnel::yield();
      EXPECT_EQ(gettid(), tid);
    }
    runnel::unlock_os_thread();
  });
}

}  // namespace
