// Waiting for descriptors that are not ours.

#include "runnel/net/fd_wait.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "runnel/net.h"
#include "runnel/runnel.h"
#include "support/waiting.h"

namespace runnel {
namespace {

using namespace std::chrono_literals;

class fd_wait_test : public testing::TestWithParam<int> {
 protected:
  void run_here(auto body) { run(options{.max_procs = GetParam()}, body); }
};

time_point in(std::chrono::milliseconds d) { return std::chrono::steady_clock::now() + d; }

TEST_P(fd_wait_test, a_pipe_is_readable_when_something_is_written_and_at_its_end) {
  run_here([] {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);  // blocking: nobody is asked to change that
    test::waiting_goroutines wg;
    wg.go(sched::wait_reason::io_wait, [&] { EXPECT_FALSE(fd_wait(ends[0], fd_event::readable)); });
    ASSERT_EQ(write(ends[1], "x", 1), 1);
    wg.wait();
    char c;
    ASSERT_EQ(read(ends[0], &c, 1), 1);
    test::waiting_goroutines more;
    more.go(sched::wait_reason::io_wait,
            [&] { EXPECT_FALSE(fd_wait(ends[0], fd_event::readable)); });
    close(ends[1]);
    more.wait();
    close(ends[0]);
  });
}

TEST_P(fd_wait_test, many_may_wait_for_one_descriptor) {
  run_here([] {
    int event = eventfd(0, EFD_CLOEXEC);
    test::waiting_goroutines wg;
    std::atomic<int> told{0};
    for (int i = 0; i < 20; ++i) {
      wg.go(sched::wait_reason::io_wait, [&] {
        EXPECT_FALSE(fd_wait(event, fd_event::readable));
        ++told;
      });
    }
    EXPECT_EQ(told, 0);
    std::uint64_t one = 1;
    ASSERT_EQ(write(event, &one, sizeof one), static_cast<ssize_t>(sizeof one));
    wg.wait();
    EXPECT_EQ(told, 20);
    close(event);
  });
}

TEST_P(fd_wait_test, both_directions_of_a_socket_are_waited_for_apart) {
  run_here([] {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    EXPECT_FALSE(fd_wait(ends[0], fd_event::writable));
    char room[4096] = {};
    while (write(ends[0], room, sizeof room) > 0) {
    }
    test::waiting_goroutines wg;
    std::atomic<bool> readable{false};
    std::atomic<bool> writable{false};
    wg.go(sched::wait_reason::io_wait, [&] {
      EXPECT_FALSE(fd_wait(ends[0], fd_event::readable));
      readable = true;
    });
    wg.go(sched::wait_reason::io_wait, [&] {
      EXPECT_FALSE(fd_wait(ends[0], fd_event::writable));
      writable = true;
    });
    ASSERT_EQ(write(ends[1], "x", 1), 1);
    EXPECT_TRUE(test::eventually([&] { return readable.load(); }));
    EXPECT_FALSE(writable);
    while (read(ends[1], room, sizeof room) > 0) {
    }
    wg.wait();
    close(ends[0]);
    close(ends[1]);
  });
}

TEST_P(fd_wait_test, the_deadline_is_a_timeout) {
  run_here([] {
    int event = eventfd(0, EFD_CLOEXEC);
    auto e = fd_wait(event, fd_event::readable, in(5ms));
    EXPECT_EQ(e, net::errc::timed_out);
    EXPECT_EQ(e.message(), "wait: i/o timeout");
    EXPECT_EQ(fd_wait(event, fd_event::readable, time_point{}), std::errc::timed_out);
    // Not before it is ready, but what is ready is.
    EXPECT_FALSE(fd_wait(event, fd_event::writable, time_point{}));
    close(event);
  });
}

TEST_P(fd_wait_test, a_regular_file_is_always_ready) {
  run_here([] {
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    EXPECT_FALSE(fd_wait(file, fd_event::readable));
    EXPECT_FALSE(fd_wait(file, fd_event::writable));
    close(file);
  });
}

TEST_P(fd_wait_test, what_is_no_descriptor_is_an_error) {
  run_here([] {
    EXPECT_EQ(fd_wait(-1, fd_event::readable), std::errc::bad_file_descriptor);
    EXPECT_EQ(fd_wait(1'000'000, fd_event::readable), std::errc::bad_file_descriptor);
  });
}

TEST(fd_wait_plain_thread, needs_no_run) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  EXPECT_EQ(fd_wait(ends[0], fd_event::readable, in(5ms)), net::errc::timed_out);
  std::thread writer([&] { ASSERT_EQ(write(ends[1], "x", 1), 1); });
  EXPECT_FALSE(fd_wait(ends[0], fd_event::readable));
  writer.join();
  close(ends[0]);
  close(ends[1]);
}

INSTANTIATE_TEST_SUITE_P(procs, fd_wait_test, testing::Values(1, 2, 8));

}  // namespace
}  // namespace runnel
