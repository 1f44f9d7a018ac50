// What connections do at their edges: half closed, in parts, from files, with deadlines, closed by others.

#include "runnel/net/conn.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "runnel/net.h"
#include "runnel/runnel.h"
#include "support/waiting.h"

namespace runnel::net {
namespace {

using namespace std::chrono_literals;

struct both_ends {
  explicit both_ends(const char* network = "tcp") {
    auto on = listen(network, network == std::string_view("unix")
                                  ? "@runnel-conn-" + std::to_string(getpid())
                                  : "127.0.0.1:0");
    there = dial(network, on->addr().to_string()).value();
    here = on->accept().value();
  }
  conn here;
  conn there;
};

std::string read_all(const conn& c) {
  std::string all;
  char room[10'000];
  for (;;) {
    auto n = c.read(room);
    EXPECT_TRUE(n) << n.error().message();
    if (!n || *n == 0) return all;
    all.append(room, *n);
  }
}

std::string some_text(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 131 >> 4);
  return text;
}

int file_of(const std::string& text) {
  int fd = memfd_create("runnel-test", MFD_CLOEXEC);
  EXPECT_EQ(write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  return fd;
}

class conn_test : public testing::TestWithParam<int> {
 protected:
  void run_here(auto body) { run(options{.max_procs = GetParam()}, body); }
};

TEST_P(conn_test, half_closed_it_still_reads) {
  run_here([] {
    for (const char* network : {"tcp", "unix"}) {
      both_ends ends(network);
      ASSERT_TRUE(ends.there.write("question"));
      EXPECT_FALSE(ends.there.close_write());
      EXPECT_EQ(read_all(ends.here), "question");
      ASSERT_TRUE(ends.here.write("answer"));
      EXPECT_FALSE(ends.here.close());
      EXPECT_EQ(read_all(ends.there), "answer");
      auto n = ends.there.write("x");
      ASSERT_FALSE(n);
      EXPECT_EQ(n.error(), std::errc::broken_pipe);
    }
  });
}

// Bytes and end in one event: a reader that has drained it must not wait for another.
TEST_P(conn_test, the_end_is_seen_though_it_came_with_the_last_bytes) {
  run_here([] {
    for (int i = 0; i < 300; ++i) {
      both_ends ends;
      test::waiting_goroutines wg;
      auto read_to_the_end = [&] {
        char room[100];
        EXPECT_EQ(ends.here.read(room).value_or(0), 3u);
        EXPECT_EQ(ends.here.read(room).value_or(9), 0u);
      };
      if (i % 2 == 0) wg.go(sched::wait_reason::io_wait, read_to_the_end);
      // Both before anybody polls: on one P nobody does.
      EXPECT_EQ(::send(ends.there.fd(), "abc", 3, 0), 3);
      ends.there.close();
      if (i % 2 != 0) read_to_the_end();
      wg.wait();
    }
  });
}

TEST_P(conn_test, a_drained_reader_hears_what_comes_next) {
  run_here([] {
    both_ends ends;
    wait_group wg;
    wg.go([&] {
      for (int i = 0; i < 2000; ++i) {
        EXPECT_TRUE(ends.there.write("abcdef"));
        if (i % 3 == 0) yield();
      }
      ends.there.close_write();
    });
    std::size_t all = 0;
    char room[16];
    while (auto n = ends.here.read(room).value_or(0)) all += n;
    EXPECT_EQ(all, 12'000u);
    wg.wait();
  });
}

TEST_P(conn_test, parts_empty_and_many_arrive_in_order_through_a_small_buffer) {
  run_here([] {
    both_ends ends;
    int small = 4096;
    setsockopt(ends.there.fd(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < 1000; ++i) {
      texts.push_back(i % 7 == 0 ? std::string() : some_text(i * 3 % 5000));
    }
    std::vector<std::span<const std::byte>> parts;
    std::string expected;
    for (const std::string& one : texts) {
      parts.push_back(std::as_bytes(std::span(one)));
      expected += one;
    }
    wait_group wg;
    wg.go([&] {
      EXPECT_EQ(ends.there.write_parts(parts).value(), expected.size());
      EXPECT_EQ(ends.there.write_parts({}).value(), 0u);
      EXPECT_EQ(ends.there.write_parts(std::span(parts).first(1)).value(), 0u);
      EXPECT_FALSE(ends.there.close_write());
    });
    EXPECT_TRUE(read_all(ends.here) == expected);
    wg.wait();
  });
}

TEST_P(conn_test, a_file_is_sent_from_the_middle_to_its_end) {
  run_here([] {
    both_ends ends;
    std::string text = some_text(10 << 20);
    int file = file_of(text);
    wait_group wg;
    wg.go([&] {
      EXPECT_EQ(ends.there.send_file(file, 1000, 5 << 20).value(), 5u << 20);
      EXPECT_EQ(ends.there.send_file(file, (10 << 20) - 5, 1000).value(), 5u);
      EXPECT_EQ(ends.there.send_file(file, 20 << 20, 1000).value(), 0u);
      EXPECT_FALSE(ends.there.close_write());
    });
    std::string expected = text.substr(1000, 5 << 20) + text.substr(text.size() - 5);
    EXPECT_TRUE(read_all(ends.here) == expected);
    wg.wait();
    close(file);
  });
}

TEST_P(conn_test, what_the_kernel_cannot_send_from_is_copied_or_an_error) {
  run_here([] {
    both_ends ends;
    // A file of /proc that has no pages.
    int file = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    auto n = ends.there.send_file(file, 0, 10);
    ASSERT_TRUE(n) << n.error().message();
    EXPECT_EQ(*n, 10u);
    close(file);
    int pipe_ends[2];
    ASSERT_EQ(pipe2(pipe_ends, O_CLOEXEC), 0);
    EXPECT_EQ(ends.there.send_file(pipe_ends[0], 0, 10).error(), std::errc::invalid_seek);
    EXPECT_EQ(ends.there.send_file(-1, 0, 10).error(), std::errc::bad_file_descriptor);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
  });
}

// SIGPIPE would end the process.
TEST_P(conn_test, to_one_who_is_gone_nothing_raises_sigpipe) {
  ASSERT_NE(::signal(SIGPIPE, SIG_DFL), SIG_IGN);
  run_here([] {
    int file = file_of(some_text(1 << 20));
    for (bool by_file : {true, false}) {
      for (const char* network : {"tcp", "unix"}) {
        both_ends ends(network);
        ends.here.close();
        std::error_code failed;
        std::string text(10'000, 'x');
        EXPECT_TRUE(test::eventually([&] {
          failed = {};
          if (by_file) {
            auto n = ends.there.send_file(file, 0, 1 << 20);
            if (!n) failed = n.error();
          } else {
            auto n = ends.there.write(text);
            if (!n) failed = n.error();
          }
          return failed == std::errc::broken_pipe;
        })) << failed.message();
      }
    }
    close(file);
  });
  sigset_t pending;
  sigpending(&pending);
  EXPECT_EQ(sigismember(&pending, SIGPIPE), 0);
}

TEST_P(conn_test, a_deadline_passed_ends_also_what_need_not_wait) {
  run_here([] {
    both_ends ends;
    ASSERT_TRUE(ends.there.write("abc"));
    char room[1];
    EXPECT_TRUE(ends.here.read(room));
    ends.here.set_read_deadline(time_point{});
    EXPECT_EQ(ends.here.read(room).error(), errc::timed_out);
    EXPECT_TRUE(ends.here.write("."));
    ends.here.set_deadline(time_point{});
    EXPECT_EQ(ends.here.write(".").error(), errc::timed_out);
    ends.here.set_deadline(time_point::max());
    EXPECT_EQ(ends.here.read(room).value(), 1u);
  });
}

TEST_P(conn_test, a_deadline_moved_back_and_forth_while_somebody_waits_holds_at_last) {
  run_here([] {
    both_ends ends;
    test::waiting_goroutines wg;
    auto far = test::clock::now() + 1h;
    ends.here.set_read_deadline(far);
    std::atomic<bool> ended{false};
    wg.go(sched::wait_reason::io_wait, [&] {
      char room[1];
      EXPECT_EQ(ends.here.read(room).error(), errc::timed_out);
      ended = true;
    });
    for (int i = 0; i < 200; ++i) {
      ends.here.set_read_deadline(test::clock::now() + (i % 2 == 0 ? 10s : 1h));
      if (i % 10 == 0) yield();
    }
    ends.here.set_read_deadline(time_point::max());
    yield();
    EXPECT_FALSE(ended);
    ends.here.set_read_deadline(test::clock::now() + 2ms);
    wg.wait();
  });
}

TEST_P(conn_test, close_wakes_readers_and_writers_on_goroutines_and_threads) {
  run_here([] {
    both_ends ends;
    std::string large(16 << 20, 'x');
    test::waiting_goroutines wg;
    char room[1];
    wg.go(sched::wait_reason::io_wait,
          [&] { EXPECT_EQ(ends.here.read(room).error(), errc::closed); });
    wg.go(sched::wait_reason::io_wait,
          [&] { EXPECT_EQ(ends.here.write(large).error(), errc::closed); });
    std::thread reader([&] {
      char own[1];
      EXPECT_EQ(ends.here.read(own).error(), errc::closed);
    });
    std::thread writer([&] { EXPECT_EQ(ends.here.write(large).error(), errc::closed); });
    sleep(2ms);
    EXPECT_FALSE(ends.here.close());
    wg.wait();
    blocking([&] {
      reader.join();
      writer.join();
    });
    EXPECT_EQ(ends.here.fd(), -1);
  });
}

TEST_P(conn_test, hundreds_may_wait_for_one) {
  run_here([] {
    both_ends ends;
    constexpr int many = 1000;
    wait_group wg;
    std::atomic<int> got{0};
    for (int i = 0; i < many; ++i) {
      wg.go([&] {
        char one;
        if (ends.here.read(std::span(&one, 1)).value_or(0) == 1) ++got;
      });
    }
    EXPECT_TRUE(test::eventually([] { return sched::rt().io_waits == many; }));
    sleep(1ms);  // all Ps idle: the one who sleeps in the poller gets them all
    ASSERT_TRUE(ends.there.write(std::string(many, 'x')));
    wg.wait();
    EXPECT_EQ(got, many);
  });
}

TEST_P(conn_test, two_that_become_ready_together_both_go_on) {
  run_here([] {
    both_ends a;
    both_ends b;
    for (int i = 0; i < 200; ++i) {
      test::waiting_goroutines wg;
      char rooms[2];
      wg.go(sched::wait_reason::io_wait,
            [&] { EXPECT_TRUE(a.here.read(std::span(&rooms[0], 1))); });
      wg.go(sched::wait_reason::io_wait,
            [&] { EXPECT_TRUE(b.here.read(std::span(&rooms[1], 1))); });
      std::thread sender([&] {
        EXPECT_EQ(::send(a.there.fd(), "x", 1, 0), 1);
        EXPECT_EQ(::send(b.there.fd(), "x", 1, 0), 1);
      });
      wg.wait();
      blocking([&] { sender.join(); });
    }
  });
}

TEST_P(conn_test, late_calls_do_not_reach_who_uses_the_memory_next) {
  run_here([] {
    for (int i = 0; i < 50; ++i) {
      both_ends old;
      EXPECT_FALSE(old.here.close());
      EXPECT_FALSE(old.there.close());
      both_ends young;
      ASSERT_TRUE(young.there.write("abc"));
      char room[3];
      EXPECT_EQ(old.here.read(room).error(), errc::closed);
      EXPECT_EQ(old.there.write("x").error(), errc::closed);
      old.here.set_deadline(time_point{});
      EXPECT_EQ(old.here.close(), errc::closed);
      EXPECT_EQ(old.there.close(), errc::closed);
      old = young;
      EXPECT_EQ(young.here.read(room).value_or(0), 3u);
    }
  });
}

TEST_P(conn_test, options_of_tcp_are_set) {
  run_here([] {
    both_ends ends;
    auto option_of = [](const conn& c, int level, int which) {
      int value = -1;
      socklen_t size = sizeof value;
      EXPECT_EQ(getsockopt(c.fd(), level, which, &value, &size), 0);
      return value;
    };
    for (const conn& c : {ends.here, ends.there}) {  // one has dialed, the other was accepted
      EXPECT_NE(option_of(c, IPPROTO_TCP, TCP_NODELAY), 0);
      EXPECT_NE(option_of(c, SOL_SOCKET, SO_KEEPALIVE), 0);
      EXPECT_EQ(option_of(c, IPPROTO_TCP, TCP_KEEPIDLE), 15);
      EXPECT_EQ(option_of(c, IPPROTO_TCP, TCP_KEEPINTVL), 15);
    }
    auto option = [&](int level, int which) { return option_of(ends.here, level, which); };
    EXPECT_FALSE(ends.here.set_no_delay(false));
    EXPECT_FALSE(ends.here.set_keep_alive(1500ms));
    EXPECT_EQ(option(IPPROTO_TCP, TCP_NODELAY), 0);
    EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPIDLE), 2);
    EXPECT_FALSE(ends.here.set_keep_alive(0s));
    EXPECT_EQ(option(SOL_SOCKET, SO_KEEPALIVE), 0);
    both_ends local("unix");
    EXPECT_EQ(local.here.set_no_delay(true), std::errc::operation_not_supported);
  });
}

INSTANTIATE_TEST_SUITE_P(procs, conn_test, testing::Values(1, 2, 8));

}  // namespace
}  // namespace runnel::net
