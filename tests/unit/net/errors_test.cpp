// Errors of listening, dialing and talking: what they say, and what they are equal to.

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "net/errors.h"
#include "runnel/net.h"
#include "runnel/runnel.h"
#include "support/death.h"

namespace runnel::net {
namespace {

struct refusal {
  const char* network;
  std::string address;
  std::error_condition equal;
  std::string message;
};

void expect(const std::error_code& got, const refusal& wanted) {
  EXPECT_EQ(got, wanted.equal) << wanted.address << ": " << got.message();
  EXPECT_EQ(got.message(), wanted.message);
}

TEST(net_errors, of_listen_name_network_and_address) {
  auto taken = listen("tcp", "127.0.0.1:0");
  std::string at = taken->addr().to_string();
  std::string longest(200, 'x');
  const refusal all[] = {
      {"tcp", at, std::errc::address_in_use, "listen tcp " + at + ": Address already in use"},
      {"tcp", "8080", errc::bad_address, "listen tcp 8080: malformed address"},
      {"tcp", "::1:80", errc::bad_address, "listen tcp ::1:80: malformed address"},
      {"tcp", "[]:80", errc::bad_address, "listen tcp []:80: malformed address"},
      {"tcp", "127.0.0.1:", errc::bad_address, "listen tcp 127.0.0.1:: malformed address"},
      {"tcp", "127.0.0.1:65536", errc::bad_address,
       "listen tcp 127.0.0.1:65536: malformed address"},
      {"tcp", "127.0.0.1:99999999999999999999", errc::bad_address,
       "listen tcp 127.0.0.1:99999999999999999999: malformed address"},
      {"tcp", "127.0.0.1:nosuchservice", errc::bad_address,
       "listen tcp 127.0.0.1:nosuchservice: malformed address"},
      {"tcp4", "[::1]:80", errc::host_not_found, "listen tcp4 [::1]:80: no such host"},
      {"tcp", "192.0.2.1:80", std::errc::address_not_available,
       "listen tcp 192.0.2.1:80: Cannot assign requested address"},
      {"tcp5", "127.0.0.1:80", errc::unknown_network, "listen tcp5: unknown network"},
      {"udp", "127.0.0.1:80", errc::unknown_network, "listen udp: unknown network"},
      {"unix", "", errc::bad_address, "listen unix : malformed address"},
      {"unix", longest, errc::bad_address, "listen unix " + longest + ": malformed address"},
      {"unix", "/nowhere/a.sock", std::errc::no_such_file_or_directory,
       "listen unix /nowhere/a.sock: No such file or directory"},
  };
  for (const refusal& one : all) {
    auto on = listen(one.network, one.address);
    ASSERT_FALSE(on) << one.address;
    expect(on.error(), one);
  }
}

TEST(net_errors, of_dial_name_network_and_address) {
  const refusal all[] = {
      {"tcp", "127.0.0.1:1", std::errc::connection_refused,
       "dial tcp 127.0.0.1:1: Connection refused"},
      {"tcp", "127.0.0.1", errc::bad_address, "dial tcp 127.0.0.1: malformed address"},
      {"tcp", std::string("127.0.0.1\0.evil:80", 18), errc::bad_address,
       std::string("dial tcp 127.0.0.1\0.evil:80: malformed address", 46)},
      {"unix", "/nowhere/a.sock", std::errc::no_such_file_or_directory,
       "dial unix /nowhere/a.sock: No such file or directory"},
      {"unixgram", "/nowhere/a.sock", errc::unknown_network, "dial unixgram: unknown network"},
  };
  run([&] {
    for (const refusal& one : all) {
      auto c = dial(one.network, one.address);
      ASSERT_FALSE(c) << one.address;
      expect(c.error(), one);
    }
  });
}

TEST(net_errors, of_a_connection_name_the_address_that_the_program_knows) {
  run([] {
    auto on = listen("tcp", "127.0.0.1:0");
    std::string at = "tcp " + on->addr().to_string();
    auto there = dial("tcp", on->addr().to_string());
    auto here = on->accept();
    ASSERT_TRUE(here && there);
    linger at_once{1, 0};
    setsockopt(here->fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    here->close();
    char room[1];
    auto n = there->read(room);
    ASSERT_FALSE(n);
    expect(n.error(),
           {"", "", std::errc::connection_reset, "read " + at + ": Connection reset by peer"});
    auto late = here->read(room);
    ASSERT_FALSE(late);
    expect(late.error(),
           {"", "", errc::closed, "read " + at + ": use of closed network connection"});
    expect(here->close(),
           {"", "", errc::closed, "close " + at + ": use of closed network connection"});
    expect(here->close_write(),
           {"", "", errc::closed, "shutdown " + at + ": use of closed network connection"});
    expect(here->set_no_delay(true),
           {"", "", errc::closed, "set " + at + ": use of closed network connection"});
    auto w = there->write("x");
    ASSERT_FALSE(w);
    expect(w.error(), {"", "", std::errc::broken_pipe, "write " + at + ": Broken pipe"});
    on->close();
    auto a = on->accept();
    ASSERT_FALSE(a);
    expect(a.error(),
           {"", "", errc::closed, "accept " + at + ": use of closed network connection"});
  });
}

class many_addresses : public test::in_own_process {};
TEST_F(many_addresses, are_left_out_in_the_end_but_neither_operation_nor_network) {
  EXPECT_EXIT(
      {
        std::error_code last;
        for (int i = 0; i < 40'000; ++i) {
          last = error_of("try", "tcp " + std::to_string(i), failure::of(ECONNREFUSED));
        }
        test::finish(last == std::errc::connection_refused &&
                     last.message() == "try tcp: Connection refused" &&
                     error_of("try", "tcp 7", failure::of(EPIPE)).message() ==
                         "try tcp 7: Broken pipe" &&
                     error_of("another", failure::of(errc::closed)).message() ==
                         "another: use of closed network connection");
      },
      test::succeeds, "");
}

TEST(net_errors, of_another_category_keep_what_they_are_equal_to) {
  std::error_code inner = std::make_error_code(std::io_errc::stream);
  std::error_code told = error_of("frob", "x", inner);
  EXPECT_EQ(told.message(), "frob x: " + inner.message());
  EXPECT_EQ(told.default_error_condition(), inner.default_error_condition());
  EXPECT_EQ(without_operation(told), inner);
  std::error_code twice = error_of("twist", error_of("turn", failure::of(EPIPE)));
  EXPECT_EQ(twice.message(), "twist: Broken pipe");
  EXPECT_EQ(twice, std::errc::broken_pipe);
}

}  // namespace
}  // namespace runnel::net
