// Streams over TCP and Unix sockets.

#include <gtest/gtest.h>

#include <string>

#include "runnel/net.h"
#include "runnel/runnel.h"

namespace runnel::net {
namespace {

class stream_test : public testing::TestWithParam<int> {
 protected:
  void run_here(auto body) { run(options{.max_procs = GetParam()}, body); }
};

std::string text_of(const std::error_code& e) { return e.message(); }

void echo_all(const listener& on) {
  for (;;) {
    auto c = on.accept();
    if (!c) {
      EXPECT_EQ(c.error(), errc::closed);
      return;
    }
    go([c = *c] {
      char buffer[256];
      for (;;) {
        auto n = c.read(buffer);
        if (!n || *n == 0) return;
        if (!c.write(std::string_view(buffer, *n))) return;
      }
    });
  }
}

TEST_P(stream_test, what_is_written_comes_back_from_an_echo_server) {
  run_here([] {
    auto on = listen("tcp", "127.0.0.1:0");
    ASSERT_TRUE(on) << text_of(on.error());
    go([on = *on] { echo_all(on); });
    wait_group wg;
    for (int i = 0; i < 50; ++i) {
      wg.go([&on, i] {
        auto c = dial("tcp", on->addr().to_string());
        ASSERT_TRUE(c) << text_of(c.error());
        for (int k = 0; k < 20; ++k) {
          std::string line = "line " + std::to_string(i) + " " + std::to_string(k) + "\n";
          ASSERT_TRUE(c->write(line));
          std::string back(line.size(), '?');
          ASSERT_EQ(c->read_full(std::as_writable_bytes(std::span(back))).value(), line.size());
          ASSERT_EQ(back, line);
        }
      });
    }
    wg.wait();
    on->close();
  });
}

TEST_P(stream_test, a_large_write_waits_for_a_slow_reader_and_arrives_whole) {
  run_here([] {
    auto on = listen("tcp", "localhost:0");
    ASSERT_TRUE(on) << text_of(on.error());
    std::string large(8 << 20, '\0');
    for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 31 >> 3);
    wait_group wg;
    wg.go([&] {
      auto c = on->accept();
      ASSERT_TRUE(c);
      EXPECT_EQ(c->write(large).value(), large.size());
      EXPECT_FALSE(c->close_write());
      char rest;
      EXPECT_EQ(c->read(std::span(&rest, 1)).value(), 0u);
    });
    auto c = dial("tcp", on->addr().to_string());
    ASSERT_TRUE(c) << text_of(c.error());
    std::string got;
    char buffer[10'000];
    for (;;) {
      auto n = c->read(buffer);
      ASSERT_TRUE(n);
      if (*n == 0) break;
      got.append(buffer, *n);
    }
    EXPECT_EQ(got, large);
    c->close();
    wg.wait();
  });
}

TEST_P(stream_test, nobody_there_is_an_error_with_operation_and_address) {
  run_here([] {
    auto on = listen("tcp", "127.0.0.1:0");
    std::string at = on->addr().to_string();
    on->close();
    auto c = dial("tcp", at);
    ASSERT_FALSE(c);
    EXPECT_EQ(c.error(), std::errc::connection_refused);
    EXPECT_EQ(text_of(c.error()), "dial tcp " + at + ": Connection refused");
  });
}

TEST_P(stream_test, a_read_deadline_is_a_timeout) {
  run_here([] {
    auto on = listen("unix", "@runnel-test-" + std::to_string(getpid()));
    ASSERT_TRUE(on) << text_of(on.error());
    auto c = dial("unix", on->addr().to_string());
    ASSERT_TRUE(c) << text_of(c.error());
    c->set_read_deadline(std::chrono::steady_clock::now() + std::chrono::milliseconds(5));
    char buffer[1];
    auto n = c->read(buffer);
    ASSERT_FALSE(n);
    EXPECT_EQ(n.error(), errc::timed_out);
    EXPECT_EQ(n.error(), std::errc::timed_out);
    EXPECT_EQ(text_of(n.error()), "read unix " + on->addr().to_string() + ": i/o timeout");
  });
}

INSTANTIATE_TEST_SUITE_P(procs, stream_test, testing::Values(1, 2, 8));

}  // namespace
}  // namespace runnel::net
