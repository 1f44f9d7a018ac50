// TLS with the openssl command as the other end.

#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cstdio>
#include <string>

#include "runnel/net.h"
#include "runnel/net/tls.h"
#include "runnel/runnel.h"
#include "support/certificates.h"
#include "support/wait.h"

namespace runnel::net {
namespace {

using namespace std::chrono_literals;

// What a shell command prints; its thread waits in the kernel.
std::string output_of(const std::string& command) {
  return blocking([&] {
    std::string all;
    FILE* out = popen(command.c_str(), "r");
    if (out == nullptr) return all;
    char room[4096];
    while (std::size_t n = fread(room, 1, sizeof room, out)) all.append(room, n);
    pclose(out);
    return all;
  });
}

TEST(openssl_command, s_client_talks_to_our_server) {
  test::certificates certs;
  run([&] {
    auto on = listen("tcp", "127.0.0.1:0");
    wait_group wg;
    wg.go([&] {
      for (int i = 0; i < 2; ++i) {
        auto c = on->accept();
        ASSERT_TRUE(c);
        tls_config config;
        config.certificate_file = certs.file("good.pem");
        config.key_file = certs.file("good.key");
        config.protocols = {"h2", "http/1.1"};
        auto made = tls_server(*c, config);
        ASSERT_TRUE(made) << made.error().message();
        char room[100];
        auto n = made->read(room);
        ASSERT_TRUE(n) << n.error().message();
        EXPECT_TRUE(made->write("got " + std::string(room, *n)));
        EXPECT_FALSE(made->close());
      }
    });
    for (std::string version : {"-tls1_2", "-tls1_3"}) {
      std::string seen = output_of("echo question | timeout 10 openssl s_client -ign_eof " +
                                   version + " -connect " + on->addr().to_string() +
                                   " -servername localhost -verify_return_error -alpn http/1.1" +
                                   " -CAfile " + certs.file("root.pem") + " 2>&1");
      EXPECT_NE(seen.find("got question"), std::string::npos) << seen;
      EXPECT_NE(seen.find("Verify return code: 0 (ok)"), std::string::npos) << seen;
      EXPECT_NE(seen.find("ALPN protocol: http/1.1"), std::string::npos) << seen;
    }
    wg.wait();
  });
}

TEST(openssl_command, our_client_talks_to_s_server) {
  test::certificates certs;
  run([&] {
    // A port that was free a moment ago.
    auto free = listen("tcp", "127.0.0.1:0");
    std::string port = std::to_string(free->addr().port());
    free->close();
    std::string cert = certs.file("good.pem");
    std::string key = certs.file("good.key");
    const char* arguments[] = {"openssl", "s_server",   "-accept", port.c_str(),
                               "-cert",   cert.c_str(), "-key",    key.c_str(),
                               "-rev",    "-quiet",     "-tls1_2", nullptr};
    pid_t server = -1;
    ASSERT_EQ(posix_spawnp(&server, "openssl", nullptr, nullptr,
                           const_cast<char* const*>(arguments), environ),
              0);
    tls_config config;
    config.system_roots = false;
    config.roots_file = certs.file("root.pem");
    result<conn> c;
    EXPECT_TRUE(test::eventually([&] {
      c = dial_tls(background(), "tcp", "localhost:" + port, config);
      return c.has_value();
    })) << c.error().message();
    if (c) {
      EXPECT_EQ(tls_state_of(*c)->version, "TLSv1.2");
      EXPECT_TRUE(c->write("abcdef\n"));
      std::string back(7, '?');
      EXPECT_EQ(c->read_full(std::as_writable_bytes(std::span(back))).value_or(0), 7u);
      EXPECT_EQ(back, "fedcba\n");
      c->close();
    }
    kill(server, SIGKILL);
    blocking([&] { waitpid(server, nullptr, 0); });
  });
}

}  // namespace
}  // namespace runnel::net
