// Datagrams.

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "runnel/net.h"
#include "runnel/runnel.h"
#include "support/ipv6.h"
#include "support/waiting.h"

namespace runnel::net {
namespace {

using namespace std::chrono_literals;

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

class packet_test : public testing::TestWithParam<int> {
 protected:
  void run_here(auto body) { run(options{.max_procs = GetParam()}, body); }
};

TEST_P(packet_test, udp_comes_back_with_the_senders_address) {
  run_here([] {
    auto server = listen_packet("udp", "127.0.0.1:0");
    auto client = listen_packet("udp4", "127.0.0.1:0");
    ASSERT_TRUE(server && client);
    wait_group wg;
    wg.go([&] {
      for (int i = 0; i < 10; ++i) {
        std::byte room[100];
        auto got = server->read_from(room);
        ASSERT_TRUE(got) << got.error().message();
        EXPECT_EQ(got->from, client->local());
        EXPECT_FALSE(got->truncated);
        EXPECT_TRUE(server->write_to(std::span(room).first(got->size), got->from));
      }
    });
    for (int i = 0; i < 10; ++i) {
      std::string text(static_cast<std::size_t>(i), 'x');
      ASSERT_EQ(client->write_to(bytes(text), server->local()).value(), text.size());
      std::byte room[100];
      auto got = client->read_from(room);
      ASSERT_TRUE(got) << got.error().message();
      EXPECT_EQ(got->size, text.size());  // also one without bytes
      EXPECT_EQ(got->from, server->local());
    }
    wg.wait();
  });
}

TEST_P(packet_test, one_that_is_too_long_is_cut_and_says_so) {
  run_here([] {
    auto server = listen_packet("udp", "127.0.0.1:0");
    ASSERT_TRUE(server->write_to(bytes("0123456789"), server->local()));
    ASSERT_TRUE(server->write_to(bytes("next"), server->local()));
    std::byte room[4];
    auto got = server->read_from(room);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->size, 4u);
    EXPECT_TRUE(got->truncated);
    got = server->read_from(room);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->size, 4u);
    EXPECT_FALSE(got->truncated);
  });
}

TEST_P(packet_test, without_a_host_both_versions_of_ip_are_heard) {
  run_here([] {
    auto server = listen_packet("udp", ":0");
    ASSERT_TRUE(server) << server.error().message();
    std::string port = std::to_string(server->local().port());
    auto four = listen_packet("udp", "127.0.0.1:0");
    auto to = resolve(background(), "udp", "127.0.0.1:" + port);
    ASSERT_TRUE(four->write_to(bytes("four"), to->front()));
    std::byte room[10];
    auto got = server->read_from(room);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->from, four->local());
    EXPECT_TRUE(server->write_to(bytes("back"), got->from));
    EXPECT_TRUE(four->read_from(room));
    if (!test::has_ipv6()) GTEST_SKIP() << "this machine has no IPv6";
    auto six = listen_packet("udp", "[::1]:0");
    ASSERT_TRUE(six) << six.error().message();
    to = resolve(background(), "udp", "[::1]:" + port);
    ASSERT_TRUE(six->write_to(bytes("six"), to->front()));
    got = server->read_from(room);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->from, six->local());
  });
}

TEST_P(packet_test, unixgram_has_paths_and_removes_them) {
  run_here([] {
    std::string base = testing::TempDir() + "runnel-" + std::to_string(getpid());
    auto server = listen_packet("unixgram", base + ".a");
    auto client = listen_packet("unixgram", base + ".b");
    ASSERT_TRUE(server && client) << base;
    ASSERT_TRUE(client->write_to(bytes("hello"), server->local()));
    std::byte room[10];
    auto got = server->read_from(room);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->size, 5u);
    EXPECT_EQ(got->from.to_string(), base + ".b");
    server->close();
    struct stat there;
    EXPECT_NE(stat((base + ".a").c_str(), &there), 0);
    auto gone = client->write_to(bytes("hello"), server->local());
    EXPECT_FALSE(gone);
    EXPECT_EQ(listen_packet("unixgram", base + ".b").error(), std::errc::address_in_use);
  });
}

TEST_P(packet_test, a_full_receiver_makes_the_sender_wait) {
  run_here([] {
    std::string name = "@runnel-full-" + std::to_string(getpid());
    auto server = listen_packet("unixgram", name);
    auto client = listen_packet("unixgram", name + "-client");
    ASSERT_TRUE(server && client);
    constexpr int many = 3000;
    wait_group wg;
    wg.go([&] {
      for (int i = 0; i < many; ++i) {
        auto n = client->write_to(bytes(std::to_string(i)), server->local());
        ASSERT_TRUE(n) << n.error().message();
      }
    });
    for (int i = 0; i < many; ++i) {
      std::byte room[10];
      auto got = server->read_from(room);
      ASSERT_TRUE(got);
      ASSERT_EQ(std::string(reinterpret_cast<char*>(room), got->size), std::to_string(i));
    }
    wg.wait();
  });
}

TEST_P(packet_test, deadlines_and_close_end_the_wait) {
  run_here([] {
    auto server = listen_packet("udp", "127.0.0.1:0");
    std::string at = server->local().to_string();
    server->set_deadline(std::chrono::steady_clock::now() + 5ms);
    std::byte room[4];
    auto got = server->read_from(room);
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().message(), "read udp " + at + ": i/o timeout");
    server->set_read_deadline(time_point::max());
    test::waiting_goroutines wg;
    wg.go(sched::wait_reason::io_wait, [&] {
      auto later = server->read_from(room);
      ASSERT_FALSE(later);
      EXPECT_EQ(later.error(), errc::closed);
    });
    server->close();
    wg.wait();
    EXPECT_EQ(server->write_to(bytes("x"), endpoint()).error(), errc::closed);
    EXPECT_EQ(server->fd(), -1);
  });
}

INSTANTIATE_TEST_SUITE_P(procs, packet_test, testing::Values(1, 2, 8));

}  // namespace
}  // namespace runnel::net
