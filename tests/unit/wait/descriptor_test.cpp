// Waiting for descriptors: readiness, deadlines that move, closing, numbers used again.

#include "wait/descriptor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <thread>

#include "platform/clock.h"
#include "runnel/go.h"
#include "runnel/sync.h"
#include "runnel/time.h"
#include "support/waiting.h"

namespace runnel::wait {
namespace {

struct pair_of_ends {
  pair_of_ends() {
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    int error = 0;
    near = descriptor::open(fds[0], error);
    EXPECT_EQ(error, 0);
    far = fds[1];
  }
  ~pair_of_ends() {
    near->close();
    near->disown();
    if (far >= 0) ::close(far);
  }
  void send(char c) const { ASSERT_EQ(write(far, &c, 1), 1); }

  // As a blocking read of one byte; 0: the end, -1: an outcome other than ready, in `why`.
  int read_one(char& c) {
    for (;;) {
      if (!near->acquire()) {
        why = io_outcome::closed;
        return -1;
      }
      std::uint32_t seen = near->events(direction::read);
      bool late = near->is_late(direction::read);
      int result = late ? -1 : static_cast<int>(read(near->number(), &c, 1));
      int code = errno_ref();
      near->release();
      if (late) {
        why = io_outcome::timed_out;
        return -1;
      }
      if (result >= 0 || code != EAGAIN) return result;
      why = near->wait(direction::read, seen);
      if (why != io_outcome::ready) return -1;
    }
  }

  descriptor* near;
  int far;
  io_outcome why = io_outcome::ready;
};

class descriptor_test : public testing::TestWithParam<int> {
 protected:
  void run_here(auto body) { run(options{.max_procs = GetParam()}, body); }
};

TEST_P(descriptor_test, a_reader_waits_for_what_is_sent_later) {
  run_here([] {
    pair_of_ends ends;
    wait_group wg;
    char got = 0;
    wg.go([&] { ASSERT_EQ(ends.read_one(got), 1); });
    yield();
    ends.send('x');
    wg.wait();
    EXPECT_EQ(got, 'x');
  });
}

TEST_P(descriptor_test, an_event_before_the_wait_is_not_lost) {
  run_here([] {
    pair_of_ends ends;
    for (int i = 0; i < 1000; ++i) {
      wait_group wg;
      char got = 0;
      wg.go([&] { ASSERT_EQ(ends.read_one(got), 1); });
      if (i % 2 == 0) yield();
      ends.send('y');
      wg.wait();
      ASSERT_EQ(got, 'y');
    }
  });
}

TEST_P(descriptor_test, two_goroutines_talk_over_a_socket) {
  run_here([] {
    pair_of_ends there;
    int fd = there.far;
    there.far = -1;
    int error = 0;
    descriptor* back = descriptor::open(fd, error);
    ASSERT_EQ(error, 0);
    constexpr int rounds = 2000;
    wait_group wg;
    wg.go([&] {
      for (int i = 0; i < rounds; ++i) {
        char c = 0;
        ASSERT_EQ(there.read_one(c), 1);
        ASSERT_EQ(write(there.near->fd(), &c, 1), 1);
      }
    });
    wg.go([&] {
      for (int i = 0; i < rounds; ++i) {
        char c = static_cast<char>(i);
        ASSERT_EQ(write(fd, &c, 1), 1);
        char got = 0;
        for (;;) {
          std::uint32_t seen = back->events(direction::read);
          if (read(fd, &got, 1) == 1) break;
          ASSERT_EQ(errno_ref(), EAGAIN);
          ASSERT_EQ(back->wait(direction::read, seen), io_outcome::ready);
        }
        ASSERT_EQ(got, c);
      }
    });
    wg.wait();
    back->close();
    back->disown();
  });
}

TEST_P(descriptor_test, a_deadline_ends_the_wait) {
  run_here([] {
    pair_of_ends ends;
    ends.near->set_deadline(direction::read, platform::nanotime() + 5'000'000);
    char c;
    EXPECT_EQ(ends.read_one(c), -1);
    EXPECT_EQ(ends.why, io_outcome::timed_out);
    // And those that come later, until it is moved.
    EXPECT_EQ(ends.read_one(c), -1);
    ends.near->set_deadline(direction::read, platform::time_never);
    ends.send('z');
    EXPECT_EQ(ends.read_one(c), 1);
  });
}

TEST_P(descriptor_test, a_deadline_may_be_moved_while_somebody_waits) {
  run_here([] {
    pair_of_ends ends;
    ends.near->set_deadline(direction::read, platform::nanotime() + 3'600'000'000'000);
    test::waiting_goroutines wg;
    wg.go(sched::wait_reason::io_wait, [&] {
      char c;
      EXPECT_EQ(ends.read_one(c), -1);
      EXPECT_EQ(ends.why, io_outcome::timed_out);
    });
    ends.near->set_deadline(direction::read, 1);
    wg.wait();
  });
}

TEST_P(descriptor_test, close_wakes_everybody) {
  run_here([] {
    pair_of_ends ends;
    test::waiting_goroutines wg;
    std::atomic<int> closed{0};
    for (int i = 0; i < 5; ++i) {
      wg.go(sched::wait_reason::io_wait, [&] {
        for (;;) {
          std::uint32_t seen = ends.near->events(direction::read);
          io_outcome how = ends.near->wait(direction::read, seen);
          if (how == io_outcome::ready) continue;  // the first events come with the registration
          if (how == io_outcome::closed) ++closed;
          return;
        }
      });
    }
    EXPECT_TRUE(ends.near->close());
    wg.wait();
    EXPECT_EQ(closed, 5);
    EXPECT_FALSE(ends.near->close());
  });
}

TEST_P(descriptor_test, a_plain_thread_waits_too) {
  run_here([] {
    pair_of_ends ends;
    char got = 0;
    std::thread reader([&] { ASSERT_EQ(ends.read_one(got), 1); });
    sleep(std::chrono::milliseconds(2));
    ends.send('t');
    blocking([&] { reader.join(); });
    EXPECT_EQ(got, 't');
  });
}

TEST_P(descriptor_test, what_happens_to_a_number_used_again_wakes_nobody_of_before) {
  run_here([] {
    for (int i = 0; i < 200; ++i) {
      pair_of_ends ends;
      wait_group wg;
      char c;
      wg.go([&] { EXPECT_NE(ends.read_one(c), 0); });
      if (i % 3 == 0) yield();
      ends.send('a');
      if (i % 2 == 0) {
        ends.near->close();
      }
      wg.wait();
    }
  });
}

TEST_P(descriptor_test, sleeping_and_io_share_one_sleeper) {
  run_here([] {
    pair_of_ends ends;
    wait_group wg;
    wg.go([&] {
      for (int i = 0; i < 20; ++i) {
        sleep(std::chrono::milliseconds(1));
        ends.send('s');
      }
    });
    for (int i = 0; i < 20; ++i) {
      char c;
      ASSERT_EQ(ends.read_one(c), 1);
    }
    wg.wait();
  });
}

TEST(descriptor, a_regular_file_cannot_be_waited_for) {
  int fd = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  int error = 0;
  EXPECT_EQ(descriptor::open(fd, error), nullptr);
  EXPECT_EQ(error, EPERM);
  ::close(fd);
}

INSTANTIATE_TEST_SUITE_P(procs, descriptor_test, testing::Values(1, 2, 8));

// One event for several of them, while every P is idle: who comes out of the poller with them calls another P.
TEST(descriptor, one_event_wakes_all_who_wait_for_it) {
  run({.max_procs = 4}, [] {
    for (int round = 0; round < 50; ++round) {
      pair_of_ends ends;
      std::atomic<int> passed{0};
      test::waiting_goroutines waiting;
      for (int i = 0; i < 4; ++i) {
        waiting.go(sched::wait_reason::io_wait, [&] {
          std::uint32_t seen = ends.near->events(direction::read);
          ends.near->wait(direction::read, seen);
          ++passed;
        });
      }
      std::jthread later([&] {
        // When everybody sleeps.
        while (sched::rt().gate.idle() != 4) std::this_thread::yield();
        ends.send('x');
      });
      waiting.wait();
      EXPECT_EQ(passed, 4);
      later.join();
    }
  });
}

}  // namespace
}  // namespace runnel::wait
