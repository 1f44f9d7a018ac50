// TLS between two ends of ours.

#include "runnel/net/tls.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "runnel/net.h"
#include "runnel/runnel.h"
#include "support/certificates.h"
#include "support/wait.h"

namespace runnel::net {
namespace {

using namespace std::chrono_literals;

const test::certificates& certs() {
  static const test::certificates made;
  return made;
}

tls_config serving(const std::string& name = "good") {
  tls_config c;
  c.certificate_file = certs().file(name + ".pem");
  c.key_file = certs().file(name + ".key");
  return c;
}
tls_config trusting() {
  tls_config c;
  c.system_roots = false;
  c.roots_file = certs().file("root.pem");
  return c;
}

// A server that does what it is told with the first connection.
class one_connection {
 public:
  template <class F>
  one_connection(const tls_config& config, F use) : on_(*listen("tcp", "127.0.0.1:0")) {
    done_.go([this, config, use] {
      auto c = on_.accept();
      ASSERT_TRUE(c) << c.error().message();
      auto made = tls_server(*c, config);
      if (!made) error = made.error();
      if (made) use(*made);
    });
  }
  ~one_connection() { done_.wait(); }
  std::string at(const std::string& host = "localhost") const {
    return host + ":" + std::to_string(on_.addr().port());
  }
  void wait() { done_.wait(); }

  std::error_code error;

 private:
  listener on_;
  wait_group done_;
};

void nothing(const conn&) {}
void echo(const conn& c) {
  char room[20'000];
  for (;;) {
    auto n = c.read(room);
    if (!n || *n == 0) return;
    if (!c.write(std::string_view(room, *n))) return;
  }
}

class tls_test : public testing::TestWithParam<int> {
 protected:
  void SetUp() override { certs(); }
  void run_here(auto body) { run(options{.max_procs = GetParam()}, body); }
};

TEST_P(tls_test, what_is_written_comes_back) {
  run_here([] {
    one_connection server(serving(), echo);
    auto c = dial_tls(background(), "tcp", server.at(), trusting());
    ASSERT_TRUE(c) << c.error().message();
    std::string back(5, '?');
    EXPECT_EQ(c->write("hello").value(), 5u);
    EXPECT_EQ(c->read_full(std::as_writable_bytes(std::span(back))).value(), 5u);
    EXPECT_EQ(back, "hello");
    auto state = tls_state_of(*c);
    ASSERT_TRUE(state);
    EXPECT_EQ(state->version, "TLSv1.3");
    EXPECT_TRUE(state->verified);
    EXPECT_EQ(state->peer, "CN = localhost");
    EXPECT_EQ(state->peer_certificates.size(), 1u);
    EXPECT_EQ(state->protocol, "");
    c->close();
  });
}

TEST_P(tls_test, megabytes_go_both_ways_at_once) {
  run_here([] {
    constexpr std::size_t size = 4 << 20;
    std::string large(size, '\0');
    for (std::size_t i = 0; i < size; ++i) large[i] = static_cast<char>(i * 7 >> 2);
    auto send_and_check = [&large](const conn& c) {
      wait_group both;
      both.go([&] { EXPECT_EQ(c.write(large).value_or(0), large.size()); });
      std::string got(large.size(), '\0');
      EXPECT_EQ(c.read_full(std::as_writable_bytes(std::span(got))).value_or(0), large.size());
      EXPECT_TRUE(got == large);
      both.wait();
    };
    one_connection server(serving(), send_and_check);
    auto c = dial_tls(background(), "tcp", server.at(), trusting());
    ASSERT_TRUE(c) << c.error().message();
    send_and_check(*c);
    server.wait();
  });
}

TEST_P(tls_test, many_parts_and_a_file_arrive_in_order) {
  run_here([] {
    std::string expected;
    one_connection server(serving(), [&](const conn& c) {
      std::string got;
      char room[1000];
      while (auto n = c.read(room).value_or(0)) got.append(room, n);
      EXPECT_EQ(got, expected);
      EXPECT_TRUE(c.write("all of it"));
    });
    auto c = dial_tls(background(), "tcp", server.at(), trusting());
    ASSERT_TRUE(c) << c.error().message();
    std::vector<std::string> texts;
    std::vector<std::span<const std::byte>> parts;
    for (int i = 0; i < 200; ++i)
      texts.push_back(std::string(i % 5 == 0 ? 0 : 300, char('a' + i % 26)));
    texts.emplace_back(50'000, 'x');
    for (const auto& one : texts) {
      expected += one;
      parts.push_back(std::as_bytes(std::span(one)));
    }
    std::string file = certs().text("root.pem");
    expected += file.substr(10, 100);
    EXPECT_EQ(c->write_parts(parts).value(), expected.size() - 100);
    int fd = ::open(certs().file("root.pem").c_str(), O_RDONLY | O_CLOEXEC);
    EXPECT_EQ(c->send_file(fd, 10, 100).value(), 100u);
    ::close(fd);
    EXPECT_FALSE(c->close_write());
    EXPECT_FALSE(c->write("more"));
    // Half closed: the answer still comes.
    std::string answer(9, '?');
    EXPECT_EQ(c->read_full(std::as_writable_bytes(std::span(answer))).value(), 9u);
    EXPECT_EQ(answer, "all of it");
  });
}

TEST_P(tls_test, the_protocol_is_the_servers_first_that_both_speak) {
  run_here([] {
    tls_config config = serving();
    config.protocols = {"h2", "http/1.1"};
    one_connection server(config, [](const conn& c) {
      EXPECT_EQ(tls_state_of(c)->protocol, "h2");
      EXPECT_EQ(tls_state_of(c)->server_name, "localhost");
    });
    tls_config mine = trusting();
    mine.protocols = {"http/1.1", "h2"};
    auto c = dial_tls(background(), "tcp", server.at(), mine);
    ASSERT_TRUE(c) << c.error().message();
    EXPECT_EQ(tls_state_of(*c)->protocol, "h2");
  });
}

TEST_P(tls_test, no_protocol_in_common_is_an_error_of_both) {
  run_here([] {
    tls_config config = serving();
    config.protocols = {"h2"};
    one_connection server(config, nothing);
    tls_config mine = trusting();
    mine.protocols = {"spdy"};
    auto c = dial_tls(background(), "tcp", server.at(), mine);
    ASSERT_FALSE(c);
    EXPECT_EQ(c.error(), tls_errc::protocol);
    server.wait();
    EXPECT_EQ(server.error, tls_errc::protocol);
  });
}

TEST_P(tls_test, another_name_is_refused) {
  run_here([] {
    one_connection server(serving(), nothing);
    tls_config mine = trusting();
    mine.server_name = "example.org";
    auto c = dial_tls(background(), "tcp", server.at(), mine);
    ASSERT_FALSE(c);
    EXPECT_EQ(c.error(), tls_errc::certificate);
    EXPECT_EQ(c.error().message(), "dial tcp " + server.at() + ": tls: hostname mismatch");
    server.wait();
    EXPECT_EQ(server.error, tls_errc::protocol);
  });
}

TEST_P(tls_test, an_address_in_the_certificate_is_a_name_too) {
  run_here([] {
    one_connection server(serving(), nothing);
    auto c = dial_tls(background(), "tcp", server.at("127.0.0.1"), trusting());
    EXPECT_TRUE(c) << c.error().message();
  });
}

TEST_P(tls_test, an_expired_certificate_is_refused) {
  certs().make("old", "localhost", "DNS:localhost", "-days -1");
  run_here([] {
    one_connection server(serving("old"), nothing);
    auto c = dial_tls(background(), "tcp", server.at(), trusting());
    ASSERT_FALSE(c);
    EXPECT_EQ(c.error().message(), "dial tcp " + server.at() + ": tls: certificate has expired");
  });
}

TEST_P(tls_test, verification_is_on_by_default_and_by_the_systems_roots) {
  run_here([] {
    one_connection server(serving(), nothing);
    auto c = dial_tls(background(), "tcp", server.at());
    ASSERT_FALSE(c);
    EXPECT_EQ(c.error(), tls_errc::certificate) << c.error().message();
  });
  run_here([] {
    one_connection server(serving(), nothing);
    auto c = dial_tls(background(), "tcp", server.at(), tls_config{.verify = false});
    ASSERT_TRUE(c) << c.error().message();
    EXPECT_FALSE(tls_state_of(*c)->verified);
  });
}

TEST_P(tls_test, a_server_may_ask_for_certificates) {
  run_here([] {
    tls_config config = serving();
    config.verify = true;
    config.system_roots = false;
    config.roots_pem = certs().text("root.pem");
    {
      one_connection server(config, [](const conn& c) {
        EXPECT_EQ(tls_state_of(c)->peer, "CN = a client");
        EXPECT_TRUE(tls_state_of(c)->verified);
        EXPECT_TRUE(c.write("."));
      });
      tls_config mine = trusting();
      mine.certificate_pem = certs().text("client.pem");
      mine.key_pem = certs().text("client.key");
      auto c = dial_tls(background(), "tcp", server.at(), mine);
      ASSERT_TRUE(c) << c.error().message();
      char dot;
      EXPECT_EQ(c->read(std::span(&dot, 1)).value_or(0), 1u);
    }
    one_connection server(config, nothing);
    auto c = dial_tls(background(), "tcp", server.at(), trusting());
    server.wait();
    EXPECT_EQ(server.error.message().substr(server.error.message().find("tls:")),
              "tls: peer did not return a certificate");
  });
}

TEST_P(tls_test, a_stream_cut_off_is_an_error_not_the_end) {
  run_here([] {
    auto on = listen("tcp", "127.0.0.1:0");
    wait_group wg;
    wg.go([&] {
      auto c = on->accept();
      auto made = tls_server(*c, serving());
      ASSERT_TRUE(made);
      EXPECT_TRUE(made->write("abc"));
      // The connection below ends without TLS's goodbye.
      EXPECT_FALSE(c->close_write());
    });
    auto c =
        dial_tls(background(), "tcp", "localhost:" + std::to_string(on->addr().port()), trusting());
    ASSERT_TRUE(c) << c.error().message();
    char room[10];
    EXPECT_EQ(c->read(room).value_or(0), 3u);
    auto n = c->read(room);
    ASSERT_FALSE(n);
    EXPECT_EQ(n.error(), tls_errc::truncated) << n.error().message();
    c->close();
    wg.wait();
  });
}

TEST_P(tls_test, the_context_ends_a_handshake_with_one_who_is_silent) {
  run_here([] {
    auto on = listen("tcp", "127.0.0.1:0");
    std::string at = on->addr().to_string();
    auto [late, stop] = with_timeout(background(), 20ms);
    auto c = dial_tls(late, "tcp", at, trusting());
    ASSERT_FALSE(c);
    EXPECT_EQ(c.error(), errc::timed_out);
    EXPECT_EQ(c.error(), std::errc::timed_out);
    auto [ctx, cancel] = with_cancel(background());
    go([cancel] {
      sleep(5ms);
      cancel();
    });
    c = dial_tls(ctx, "tcp", at, trusting());
    ASSERT_FALSE(c);
    EXPECT_EQ(c.error(), errc::canceled) << c.error().message();
  });
}

TEST_P(tls_test, deadlines_and_close_end_reads) {
  run_here([] {
    one_connection server(serving(), [](const conn& c) {
      char room[1];
      EXPECT_EQ(c.read(room).value_or(99), 0u);  // the goodbye
    });
    auto c = dial_tls(background(), "tcp", server.at(), trusting());
    ASSERT_TRUE(c) << c.error().message();
    c->set_read_deadline(std::chrono::steady_clock::now() + 5ms);
    char room[1];
    auto n = c->read(room);
    ASSERT_FALSE(n);
    EXPECT_EQ(n.error(), errc::timed_out);
    c->set_read_deadline(time_point::max());
    wait_group wg;
    wg.go([&] {
      auto later = c->read(room);
      ASSERT_FALSE(later);
      EXPECT_EQ(later.error(), errc::closed) << later.error().message();
    });
    yield();
    EXPECT_FALSE(c->close());
    EXPECT_EQ(c->close(), errc::closed);
    wg.wait();
  });
}

TEST_P(tls_test, what_is_no_tls_is_told_so) {
  run_here([] {
    one_connection server(serving(), nothing);
    auto plain = dial("tcp", server.at());
    ASSERT_TRUE(plain);
    EXPECT_TRUE(plain->write("GET / HTTP/1.1\r\n\r\n"));
    server.wait();
    EXPECT_EQ(server.error, tls_errc::protocol);
    EXPECT_NE(server.error.message().find("http request"), std::string::npos)
        << server.error.message();
  });
}

INSTANTIATE_TEST_SUITE_P(procs, tls_test, testing::Values(1, 2, 8));

TEST(tls_config, that_cannot_be_used_is_refused) {
  using role = tls_context::role;
  EXPECT_EQ(tls_context::make({}, role::server).error(), tls_errc::configuration);
  EXPECT_EQ(tls_context::make({.certificate_file = "/nowhere"}, role::server).error(),
            std::errc::no_such_file_or_directory);
  tls_config mixed = serving();
  mixed.key_file = certs().file("client.key");
  auto wrong = tls_context::make(mixed, role::server);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().message(), "tls configuration: tls: key values mismatch");
  tls_config malformed = trusting();
  malformed.roots_pem = "no certificate";
  EXPECT_EQ(tls_context::make(malformed, role::client).error(), tls_errc::configuration);
}

TEST(tls_plain_thread, needs_no_run) {
  auto on = listen("tcp", "127.0.0.1:0");
  std::thread server([&] {
    auto c = on->accept();
    ASSERT_TRUE(c);
    auto made = tls_server(*c, serving());
    ASSERT_TRUE(made) << made.error().message();
    echo(*made);
  });
  auto c = dial_tls(background(), "tcp", on->addr().to_string(), trusting());
  EXPECT_TRUE(c) << c.error().message();
  if (c) {
    EXPECT_TRUE(c->write("abc"));
    std::string back(3, '?');
    EXPECT_EQ(c->read_full(std::as_writable_bytes(std::span(back))).value_or(0), 3u);
    EXPECT_EQ(back, "abc");
    c->close();
  }
  server.join();
}

}  // namespace
}  // namespace runnel::net
