// What becomes of connections without a request when the server shuts down.

#include <gtest/gtest.h>

#include "peer.h"

namespace runnel::http {
namespace {

using namespace std::chrono_literals;

bool says_close(std::string_view answer) {
  return answer.find("Connection: close\r\n") != std::string_view::npos;
}

constexpr std::string_view request_text = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

void hello(server& to) {
  to.handle("/", [](request&, response& res) { res.write("hello"); });
}

struct draining {
  explicit draining(duration patience)
      : s(hello, {.drain_timeout = patience}), idle(s), began(std::chrono::steady_clock::now()) {
    idle.say(request_text);
    EXPECT_FALSE(says_close(idle.hear("hello")));
    go([this] { done.send(s->shutdown(background())); });
    EXPECT_EQ(s.wait(), errc::server_closed);
  }

  serving s;
  peer idle;
  time_point began;
  chan<std::error_code> done = make_chan<std::error_code>(1);
};

TEST(drain_test, an_idle_connection_gets_one_more_answer) {
  run([] {
    draining d(1h);
    d.idle.say(request_text);
    std::string answer = d.idle.hear();
    EXPECT_TRUE(answer.ends_with("hello")) << answer;
    EXPECT_TRUE(says_close(answer)) << answer;
    d.idle.conn().close();
    EXPECT_FALSE(*d.done.recv());
  });
}

TEST(drain_test, a_silent_connection_is_ended_in_time) {
  run([] {
    draining d(50ms);
    EXPECT_EQ(d.idle.hear(), "");
    EXPECT_GE(std::chrono::steady_clock::now() - d.began, 50ms);
    d.idle.conn().close();
    EXPECT_FALSE(*d.done.recv());
  });
}

// Its sender may take an end for "try again", but a reset for anything.
TEST(drain_test, a_request_that_crosses_with_the_end_is_not_answered_by_a_reset) {
  run([] {
    draining d(10ms);
    char byte[1];
    EXPECT_EQ(d.idle.conn().read(byte), 0u);
    d.idle.say(request_text);
    EXPECT_EQ(d.idle.conn().read(byte), 0u);
    d.idle.say(request_text);
    EXPECT_EQ(d.idle.conn().read(byte), 0u);
    d.idle.conn().close();
    EXPECT_FALSE(*d.done.recv());
  });
}

// What comes behind the last request that is served would make the kernel reset the connection.
TEST(drain_test, the_last_answer_survives_what_was_sent_behind_its_request) {
  run([] {
    for (int i = 0; i < 20; ++i) {
      draining d(1h);
      d.idle.say(std::string(request_text) + std::string(request_text));
      yield();
      d.idle.say(std::string(100'000, 'x'));
      std::string answer = d.idle.hear();
      EXPECT_TRUE(answer.ends_with("hello")) << answer;
      d.idle.conn().close();
      EXPECT_FALSE(*d.done.recv());
    }
  });
}

TEST(drain_test, a_client_that_closes_is_not_waited_for) {
  run([] {
    draining d(1h);
    d.idle.conn().close();
    EXPECT_FALSE(*d.done.recv());
  });
}

TEST(drain_test, the_end_of_the_context_ends_idle_connections) {
  run([] {
    serving s(hello, {.drain_timeout = 1h});
    peer idle(s);
    idle.say(request_text);
    idle.hear("hello");
    auto [ctx, cancel] = with_timeout(background(), 20ms);
    EXPECT_EQ(s->shutdown(ctx), context_errc::deadline_exceeded);
    cancel();
    idle.hear();
  });
}

}  // namespace
}  // namespace runnel::http
