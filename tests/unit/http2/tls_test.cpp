// HTTP/2 where TLS chooses it.

#include <atomic>

#include "../http/peer.h"
#include "runnel/net/tls.h"
#include "support/certificates.h"

namespace runnel::http::h2 {
namespace {

using namespace std::chrono_literals;

const test::certificates& certs() {
  static const test::certificates made;
  return made;
}

using protocols = std::vector<std::string>;

server_options secure(const protocols& spoken) {
  net::tls_config config;
  config.certificate_file = certs().file("good.pem");
  config.key_file = certs().file("good.key");
  config.protocols = spoken;
  auto tls = net::tls_context::make(config, net::tls_context::role::server).value();
  server_options o;
  o.handshake = [tls](const net::conn& c) { return net::tls_server(c, tls); };
  return o;
}

client trusting(const protocols& spoken, std::atomic<int>* dialed = nullptr) {
  client_options o;
  o.dial_tls = [spoken, dialed](const context& ctx, std::string_view to) {
    if (dialed != nullptr) ++*dialed;
    net::tls_config config;
    config.system_roots = false;
    config.roots_file = certs().file("root.pem");
    config.protocols = spoken;
    return net::dial_tls(ctx, "tcp", to, config);
  };
  return client(o);
}

void say_proto(server& s) {
  s.handle("/", [](request& req, response& res) { res.write(req.proto()); });
  s.handle("/echo", [](request& req, response& res) { res.write(req.body()); });
}

std::string url(const serving& s, std::string_view path = "/") {
  std::string address = s.address();
  return "https://localhost" + address.substr(address.rfind(':')) + std::string(path);
}

std::string text_of(result<client_response> answer) {
  if (!answer) return "error: " + answer.error().message();
  auto body = answer->body();
  return body ? *body : "error: " + body.error().message();
}

TEST(tls_test, both_ends_speak_what_the_handshake_chooses) {
  run([] {
    serving both(say_proto, secure({"h2", "http/1.1"}));
    serving old(say_proto, secure({"http/1.1"}));
    serving none(say_proto, secure({}));
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(text_of(trusting({"h2", "http/1.1"}).get(background(), url(both))), "HTTP/2.0");
      EXPECT_EQ(text_of(trusting({"http/1.1"}).get(background(), url(both))), "HTTP/1.1");
      EXPECT_EQ(text_of(trusting({}).get(background(), url(both))), "HTTP/1.1");
      EXPECT_EQ(text_of(trusting({"h2", "http/1.1"}).get(background(), url(old))), "HTTP/1.1");
      EXPECT_EQ(text_of(trusting({"h2", "http/1.1"}).get(background(), url(none))), "HTTP/1.1");
    }
  });
}

TEST(tls_test, those_who_come_at_once_share_one_handshake) {
  run([] {
    serving s(say_proto, secure({"h2"}));
    std::atomic<int> dialed = 0;
    client c = trusting({"h2", "http/1.1"}, &dialed);
    wait_group all;
    for (int i = 0; i < 50; ++i) {
      all.go([&] { EXPECT_EQ(text_of(c.get(background(), url(s))), "HTTP/2.0"); });
    }
    all.wait();
    EXPECT_EQ(dialed, 1);
  });
}

TEST(tls_test, large_bodies_go_both_ways) {
  run([] {
    serving s(say_proto, secure({"h2"}));
    client c = trusting({"h2"});
    std::string large(3'000'000, 'x');
    wait_group all;
    for (int i = 0; i < 5; ++i) {
      all.go([&] {
        EXPECT_EQ(text_of(c.post(background(), url(s, "/echo"), "text/plain", large)), large);
      });
    }
    all.wait();
  });
}

TEST(tls_test, a_server_that_is_not_trusted_is_told_nothing) {
  run([] {
    serving s(say_proto, secure({"h2"}));
    client_options o;
    o.dial_tls = [](const context& ctx, std::string_view to) {
      return net::dial_tls(ctx, "tcp", to, {.protocols = {"h2"}});
    };
    client c(o);
    wait_group all;
    for (int i = 0; i < 10; ++i) {
      all.go([&] {
        auto answer = c.get(background(), url(s));
        ASSERT_FALSE(answer);
        EXPECT_EQ(answer.error(), net::tls_errc::certificate) << answer.error().message();
      });
    }
    all.wait();
  });
}

TEST(tls_test, a_handshake_that_does_not_come_is_not_waited_for) {
  run([] {
    server_options o = secure({"h2"});
    o.read_header_timeout = 50ms;
    serving s(say_proto, o);
    peer silent(s);
    EXPECT_EQ(silent.hear(), "");
    // Nor by shutdown, and close ends it.
    serving patient(say_proto, secure({"h2"}));
    peer other(patient);
    auto [ctx, cancel] = with_timeout(background(), 20s);
    EXPECT_FALSE(patient->shutdown(ctx));
    cancel();
  });
}

}  // namespace
}  // namespace runnel::http::h2
