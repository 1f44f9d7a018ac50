// Listening and accepting.

#include "runnel/net/listener.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "runnel/net.h"
#include "runnel/runnel.h"
#include "support/death.h"
#include "support/ipv6.h"
#include "support/scale.h"
#include "support/waiting.h"

namespace runnel::net {
namespace {

using namespace std::chrono_literals;

class listener_test : public testing::TestWithParam<int> {
 protected:
  void run_here(auto body) { run(options{.max_procs = GetParam()}, body); }
};

void expect_echo(const listener& on, const char* network, const std::string& at) {
  auto there = dial(network, at);
  ASSERT_TRUE(there) << there.error().message();
  auto here = on.accept();
  ASSERT_TRUE(here) << here.error().message();
  EXPECT_EQ(here->remote(), there->local());
  EXPECT_EQ(here->local(), there->remote());
  ASSERT_TRUE(there->write("ping"));
  std::string got(4, '?');
  EXPECT_EQ(here->read_full(std::as_writable_bytes(std::span(got))).value(), 4u);
  EXPECT_EQ(got, "ping");
}

TEST_P(listener_test, all_networks_connect) {
  run_here([] {
    std::string path = testing::TempDir() + "runnel-listen-" + std::to_string(getpid());
    const struct {
      const char* network;
      std::string address;
    } all[] = {{"tcp", "127.0.0.1:0"}, {"tcp4", "127.0.0.1:0"},
               {"tcp4", ":0"},         {"tcp", "localhost:0"},
               {"unix", path},         {"unix", "@runnel-" + std::to_string(getpid())}};
    for (const auto& one : all) {
      auto on = listen(one.network, one.address);
      ASSERT_TRUE(on) << on.error().message();
      std::string at = on->addr().to_string();
      expect_echo(*on, one.network, at);
    }
    if (!test::has_ipv6()) GTEST_SKIP() << "this machine has no IPv6";
    auto six = listen("tcp6", "[::1]:0");
    ASSERT_TRUE(six) << six.error().message();
    expect_echo(*six, "tcp6", six->addr().to_string());
  });
}

TEST_P(listener_test, without_a_host_both_versions_of_ip_connect) {
  run_here([] {
    auto on = listen("tcp", ":0");
    ASSERT_TRUE(on) << on.error().message();
    std::string port = std::to_string(on->addr().port());
    expect_echo(*on, "tcp", "127.0.0.1:" + port);
    expect_echo(*on, "tcp", ":" + port);
    if (!test::has_ipv6()) GTEST_SKIP() << "this machine has no IPv6";
    EXPECT_EQ(on->addr().family(), AF_INET6);
    expect_echo(*on, "tcp", "[::1]:" + port);
  });
}

TEST_P(listener_test, a_unix_path_goes_with_the_listener_unless_it_was_handed_on) {
  run_here([] {
    std::string path = testing::TempDir() + "runnel-path-" + std::to_string(getpid());
    struct stat there;
    auto on = listen("unix", path);
    ASSERT_TRUE(on) << on.error().message();
    EXPECT_EQ(listen("unix", path).error(), std::errc::address_in_use);
    on->close();
    EXPECT_NE(stat(path.c_str(), &there), 0);
    on = listen("unix", path);
    on->set_unlink_on_close(false);
    on->close();
    EXPECT_EQ(stat(path.c_str(), &there), 0);
    unlink(path.c_str());
  });
}

TEST_P(listener_test, close_wakes_all_who_accept) {
  run_here([] {
    auto on = listen("tcp", "127.0.0.1:0");
    test::waiting_goroutines wg;
    for (int i = 0; i < 5; ++i) {
      wg.go(sched::wait_reason::io_wait, [&] { EXPECT_EQ(on->accept().error(), errc::closed); });
    }
    std::thread plain([&] { EXPECT_EQ(on->accept().error(), errc::closed); });
    on->close();
    wg.wait();
    blocking([&] { plain.join(); });
    EXPECT_EQ(on->fd(), -1);
  });
}

TEST_P(listener_test, a_deadline_ends_accept_and_may_be_moved) {
  run_here([] {
    auto on = listen("tcp", "127.0.0.1:0");
    on->set_deadline(std::chrono::steady_clock::now() + 3ms);
    EXPECT_EQ(on->accept().error(), errc::timed_out);
    on->set_deadline(time_point::max());
    expect_echo(*on, "tcp", on->addr().to_string());
  });
}

TEST_P(listener_test, who_accepts_together_gets_every_connection_once) {
  run_here([] {
    auto on = listen("tcp", "127.0.0.1:0");
    constexpr int many = 300;
    std::atomic<int> accepted{0};
    wait_group accepting;
    for (int i = 0; i < 8; ++i) {
      accepting.go([&] {
        while (auto c = on->accept().value_or(conn())) {
          ++accepted;
          yield();
        }
      });
    }
    wait_group dialing;
    for (int i = 0; i < many; ++i) {
      dialing.go([&] { EXPECT_TRUE(dial("tcp", on->addr().to_string())); });
    }
    dialing.wait();
    EXPECT_TRUE(test::eventually([&] { return accepted == many; }));
    on->close();
    accepting.wait();
  });
}

TEST_P(listener_test, two_share_a_port_if_both_want_to) {
  run_here([] {
    auto one = listen("tcp", "127.0.0.1:0", {.reuse_port = true});
    ASSERT_TRUE(one) << one.error().message();
    std::string at = one->addr().to_string();
    auto two = listen("tcp", at, {.reuse_port = true});
    ASSERT_TRUE(two) << two.error().message();
    EXPECT_EQ(listen("tcp", at).error(), std::errc::address_in_use);
    std::atomic<int> accepted[2] = {};
    wait_group wg;
    int number = 0;
    for (const listener& on : {*one, *two}) {
      wg.go([&accepted, on, n = number++] {
        while (on.accept()) ++accepted[n];
      });
    }
    constexpr int many = 100;
    for (int i = 0; i < many; ++i) ASSERT_TRUE(dial("tcp", at));
    EXPECT_TRUE(test::eventually([&] { return accepted[0] + accepted[1] == many; }));
    one->close();
    two->close();
    wg.wait();
    EXPECT_GT(accepted[0], 0);
    EXPECT_GT(accepted[1], 0);
  });
}

TEST_P(listener_test, one_that_listens_already_can_be_taken_over) {
  run_here([] {
    auto made = listen("tcp", "127.0.0.1:0");
    int fd = fcntl(made->fd(), F_DUPFD, 0);
    made->close();
    auto on = listener::from_fd(fd);
    ASSERT_TRUE(on) << on.error().message();
    EXPECT_EQ(on->addr(), made->addr());
    EXPECT_NE(fcntl(on->fd(), F_GETFD) & FD_CLOEXEC, 0);
    expect_echo(*on, "tcp", on->addr().to_string());
  });
}

TEST_P(listener_test, what_does_not_listen_stays_its_owners) {
  run_here([] {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(listener::from_fd(fd).error(), std::errc::invalid_argument);
    EXPECT_EQ(close(fd), 0);
    EXPECT_EQ(listener::from_fd(fd).error(), std::errc::bad_file_descriptor);
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    EXPECT_EQ(listener::from_fd(ends[0]).error(), std::errc::not_a_socket);
    close(ends[0]);
    close(ends[1]);
  });
}

INSTANTIATE_TEST_SUITE_P(procs, listener_test, testing::Values(1, 2, 8));

// --- without descriptors ---

class shortage : public test::in_own_process {
 protected:
  void SetUp() override {
    if (test::has_asan) GTEST_SKIP() << "UBSan looks at objects through a pipe: two descriptors";
  }
  // The listener, as many connections in its backlog, and no descriptor left.
  struct scene {
    listener on = *listen("tcp", "127.0.0.1:0");
    std::vector<conn> waiting;
    rlimit before{};
    explicit scene(int connections) {
      for (int i = 0; i < connections; ++i) {
        waiting.push_back(*dial("tcp", on.addr().to_string()));
      }
      int next = fcntl(0, F_DUPFD_CLOEXEC, 0);
      close(next);
      getrlimit(RLIMIT_NOFILE, &before);
      rlimit less{static_cast<rlim_t>(next), before.rlim_max};
      setrlimit(RLIMIT_NOFILE, &less);
    }
    void end() const { setrlimit(RLIMIT_NOFILE, &before); }
  };
};

TEST_F(shortage, of_descriptors_is_told_once_and_nobody_is_lost) {
  EXPECT_EXIT(
      {
        run([] {
          scene s(5);
          std::set<std::string> peers;
          wait_group wg;
          wg.go([&] {
            for (int i = 0; i < 5; ++i) {
              auto c = s.on.accept();
              if (!c) test::finish(false);
              peers.insert(c->remote().to_string());
              // The next one has to wait for this one.
            }
          });
          // Long enough for several tries.
          sleep(60ms);
          bool none = peers.empty();
          s.end();
          wg.wait();
          test::finish(none && peers.size() == 5);
        });
      },
      test::succeeds,
      "^(Running main.*\n)?runnel: accept tcp 127.0.0.1:[0-9]+: Too many open files; connections "
      "wait in the backlog. See RLIMIT_NOFILE.\n$");
}

TEST_F(shortage, does_not_keep_accept_from_hearing_close_and_deadline) {
  EXPECT_EXIT(
      {
        run([] {
          scene s(1);
          s.on.set_deadline(std::chrono::steady_clock::now() + 20ms);
          bool late = s.on.accept().error() == errc::timed_out;
          s.on.set_deadline(time_point::max());
          wait_group wg;
          bool told = false;
          wg.go([&] { told = s.on.accept().error() == errc::closed; });
          // Its pauses have become long by then.
          sleep(200ms);
          auto begin = test::clock::now();
          s.on.close();
          wg.wait();
          test::finish(late && told && test::clock::now() - begin < 100ms);
        });
      },
      test::succeeds, "");
}

TEST_F(shortage, is_survived_by_a_plain_thread_too) {
  EXPECT_EXIT(
      {
        scene s(1);
        std::thread accepting([&] { test::finish(s.on.accept().has_value()); });
        std::this_thread::sleep_until(test::clock::now() + 30ms);
        s.end();
        accepting.join();
      },
      test::succeeds, "Too many open files");
}

}  // namespace
}  // namespace runnel::net
