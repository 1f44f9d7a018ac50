// The client against our own server, and against servers that say exactly what they are told, by prior knowledge.

#include <atomic>
#include <mutex>
#include <set>

#include "frames.h"
#include "support/wait.h"

namespace runnel::http::h2 {
namespace {

using namespace std::chrono_literals;

// The body, or what went wrong.
std::string text_of(result<client_response> answer) {
  if (!answer) return "error: " + answer.error().message();
  auto body = answer->body();
  return body ? *body : "error: " + body.error().message();
}

client h2c(client_options options = {}) {
  options.h2c = true;
  return client(options);
}

const std::string ok = block({{":status", "200"}});
std::string answer_of(std::uint32_t id, std::string_view body) {
  return frame(head, end_headers, id, ok) + frame(data, end_stream, id, body);
}
seen next_request(frame_stream& s) {
  return s.hear_until([](const seen& f) { return f.type == head; });
}
void until_the_end(frame_stream& s) { s.hear_type(-1); }

TEST(client_test, what_is_asked_is_answered) {
  run([] {
    serving s([](server& to) {
      to.handle("GET /get", [](http::request& req, response& res) {
        res.header("X-Agent", req.header("user-agent")).header("X-Mine", req.header("x-mine"));
        res.write(std::string(req.proto()) + " " + req.query("a"));
      });
      to.handle("POST /post", [](http::request& req, response& res) {
        EXPECT_EQ(req.content_length(), 8u);
        res.status(201).write(req.header("Content-Type"));
        res.flush();
        res.write(req.body());
      });
      to.handle("/moved", [](http::request&, response& res) { res.redirect("/get?a=moved"); });
    });
    client c = h2c();
    client_request req{.url = s.url("/get?a=b%20c")};
    req.headers.set("X-Mine", "mine");
    req.headers.set("Connection", "close");
    auto answer = c.do_(background(), std::move(req));
    ASSERT_TRUE(answer) << answer.error().message();
    EXPECT_EQ(answer->status(), 200);
    EXPECT_EQ(answer->header("X-Agent"), "runnel");
    EXPECT_EQ(answer->header("X-Mine"), "mine");
    EXPECT_EQ(answer->body().value(), "HTTP/2.0 b c");
    answer = c.post(background(), s.url("/post"), "text/x", "the body");
    ASSERT_TRUE(answer) << answer.error().message();
    EXPECT_EQ(answer->status(), 201);
    EXPECT_EQ(answer->body().value(), "text/xthe body");
    EXPECT_EQ(text_of(c.get(background(), s.url("/moved"))), "HTTP/2.0 moved");
    EXPECT_EQ(text_of(c.get(background(), s.url("/none"))).substr(0, 3), "404");
    client_request asked{.method = "HEAD", .url = s.url("/get")};
    answer = c.do_(background(), std::move(asked));
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->header("content-length"), "9");
    EXPECT_EQ(answer->body().value(), "");
  });
}

TEST(client_test, requests_share_a_connection) {
  run([] {
    mutex mu;
    std::set<std::string> remotes;
    std::atomic<int> waiting = 0;
    auto all_there = make_chan<unit>();
    serving s([&](server& to) {
      to.handle("/", [&, all_there](http::request& req, response& res) {
        {
          std::lock_guard hold(mu);
          remotes.insert(req.remote().to_string());
        }
        if (++waiting == 50) all_there.close();
        all_there.recv();
        res.write(req.query("n"));
      });
    });
    client c = h2c();
    wait_group all;
    for (int i = 0; i < 50; ++i) {
      all.go([&, i] {
        std::string n = std::to_string(i);
        EXPECT_EQ(text_of(c.get(background(), s.url("/?n=" + n))), n);
      });
    }
    all.wait();
    EXPECT_EQ(remotes.size(), 1u);
  });
}

TEST(client_test, bodies_are_streamed_both_ways_within_their_windows) {
  run([] {
    serving s([](server& to) {
      to.handle("/", [](http::request& req, response& res) {
        res.trailer("X-Bytes", "");
        char piece[3000];
        std::size_t all = 0;
        unsigned sum = 0;
        for (;;) {
          auto n = req.read(piece);
          ASSERT_TRUE(n) << n.error().message();
          if (*n == 0) break;
          all += *n;
          for (char one : std::string_view(piece, *n))
            sum = sum * 31 + static_cast<unsigned char>(one);
        }
        std::string large(5 << 20, 'y');
        res.write(large);
        res.trailer("X-Bytes", std::to_string(all) + " " + std::to_string(sum));
      });
    });
    client c = h2c();
    client_request req{.method = "POST", .url = s.url("/")};
    std::size_t left = 3'000'000;
    unsigned sum = 0;
    req.body_source = [&](std::span<char> into) -> result<std::size_t> {
      std::size_t n = std::min({left, into.size(), std::size_t{7777}});
      for (char& one : into.first(n)) {
        one = static_cast<char>(left-- % 251);
        sum = sum * 31 + static_cast<unsigned char>(one);
      }
      return n;
    };
    auto answer = c.do_(background(), std::move(req));
    ASSERT_TRUE(answer) << answer.error().message();
    EXPECT_EQ(answer->body().value(), std::string(5 << 20, 'y'));
    EXPECT_EQ(answer->trailers().get("x-bytes"), "3000000 " + std::to_string(sum));
  });
}

TEST(client_test, a_body_that_nobody_reads_holds_only_its_own_stream_up) {
  run([] {
    std::atomic<std::size_t> written = 0;
    serving s([&](server& to) {
      to.handle("/endless", [&](http::request&, response& res) {
        std::string piece(100'000, 'x');
        while (!res.write(piece)) written += piece.size();
      });
      to.handle("/", [](http::request&, response& res) { res.write(std::string(100'000, 'z')); });
    });
    client c = h2c();
    auto unread = c.get(background(), s.url("/endless"));
    ASSERT_TRUE(unread);
    for (int i = 0; i < 100; ++i) {
      EXPECT_EQ(text_of(c.get(background(), s.url("/"))).size(), 100'000u);
    }
    EXPECT_LE(written, 2u << 20);
  });
}

TEST(client_test, an_answer_that_is_dropped_resets_its_stream_alone) {
  run([] {
    auto ended = make_chan<unit>();
    mutex mu;
    std::set<std::string> remotes;
    serving s([&](server& to) {
      to.handle("/endless", [=](http::request& req, response& res) {
        context ctx = req.ctx();
        while (!res.write(std::string(1000, 'x'))) {
        }
        ctx.done().recv();
        ended.send(unit{});
      });
      to.handle("/", [&](http::request& req, response& res) {
        std::lock_guard hold(mu);
        remotes.insert(req.remote().to_string());
        res.write("ok");
      });
    });
    client c = h2c();
    EXPECT_EQ(text_of(c.get(background(), s.url("/"))), "ok");
    (void)c.get(background(), s.url("/endless"));
    ended.recv();
    EXPECT_EQ(text_of(c.get(background(), s.url("/"))), "ok");
    EXPECT_EQ(remotes.size(), 1u);
  });
}

TEST(client_test, the_end_of_a_context_cancels_the_request) {
  run([] {
    auto reset = make_chan<std::uint32_t>(10);
    auto begun = make_chan<unit>(10);
    frame_server s([=](frame_stream& to, int) {
      next_request(to);
      begun.send(unit{});
      reset.send(to.hear_type(rst_stream).word());
      seen f = next_request(to);
      to.say(frame(head, end_headers, f.id, ok) + frame(data, none, f.id, "part"));
      begun.send(unit{});
      reset.send(to.hear_type(rst_stream).word());
      f = next_request(to);
      to.say(answer_of(f.id, "third"));
      until_the_end(to);
    });
    client c = h2c({.idle_timeout = 1s});
    {
      auto [ctx, cancel] = with_cancel(background());
      go([begun, cancel] {
        begun.recv();
        cancel();
      });
      auto answer = c.get(ctx, s.url());
      ASSERT_FALSE(answer);
      EXPECT_EQ(answer.error(), context_errc::canceled);
      EXPECT_EQ(*reset.recv(), static_cast<std::uint32_t>(NGHTTP2_CANCEL));
    }
    {
      auto [ctx, cancel] = with_cancel(background());
      auto answer = c.get(ctx, s.url());
      ASSERT_TRUE(answer);
      begun.recv();
      char piece[10];
      EXPECT_EQ(answer->read(piece).value(), 4u);
      go([cancel] { cancel(); });
      EXPECT_EQ(answer->read(piece).error(), context_errc::canceled);
      EXPECT_EQ(*reset.recv(), static_cast<std::uint32_t>(NGHTTP2_CANCEL));
    }
    EXPECT_EQ(text_of(c.get(background(), s.url())), "third");
    EXPECT_EQ(s.connections, 1);
    c.close_idle();
  });
}

TEST(client_test, more_streams_than_a_server_allows_get_another_connection) {
  run([] {
    mutex mu;
    std::set<std::string> remotes;
    std::atomic<int> waiting = 0;
    auto all_there = make_chan<unit>();
    serving s(
        [&](server& to) {
          to.handle("/first", [](http::request&, response& res) { res.write("first"); });
          to.handle("/", [&, all_there](http::request& req, response& res) {
            {
              std::lock_guard hold(mu);
              remotes.insert(req.remote().to_string());
            }
            if (++waiting == 6) all_there.close();
            all_there.recv();
            res.write("ok");
          });
        },
        {.max_concurrent_streams = 2});
    client c = h2c();
    // Then it knows how many.
    EXPECT_EQ(text_of(c.get(background(), s.url("/first"))), "first");
    wait_group all;
    for (int i = 0; i < 6; ++i) {
      all.go([&] { EXPECT_EQ(text_of(c.get(background(), s.url("/"))), "ok"); });
    }
    all.wait();
    EXPECT_GE(remotes.size(), 3u);
  });
}

TEST(client_test, what_a_server_has_not_looked_at_is_sent_again) {
  run([] {
    frame_server s([](frame_stream& to, int number) {
      seen f = next_request(to);
      if (number == 0) {
        to.say(frame(rst_stream, none, f.id, number_of(NGHTTP2_REFUSED_STREAM)));
        f = next_request(to);
        to.say(frame(goaway, none, 0, number_of(0) + number_of(0)));
        until_the_end(to);
        return;
      }
      to.say(answer_of(f.id, "at last"));
      until_the_end(to);
    });
    client c = h2c({.idle_timeout = 1s});
    EXPECT_EQ(text_of(c.post(background(), s.url(), "text/plain", "body")), "at last");
    EXPECT_EQ(s.connections, 2);
    c.close_idle();
  });
}

TEST(client_test, what_a_server_may_have_done_is_not_sent_again) {
  run([] {
    std::atomic<int> requests = 0;
    frame_server s([&](frame_stream& to, int) {
      seen f = next_request(to);
      ++requests;
      to.say(frame(goaway, none, 0, number_of(f.id) + number_of(NGHTTP2_INTERNAL_ERROR)));
    });
    client c = h2c();
    EXPECT_FALSE(c.post(background(), s.url(), "text/plain", "body"));
    EXPECT_EQ(requests, 1);
    // For ever refused is refused.
    frame_server never([](frame_stream& to, int) {
      for (;;) {
        seen f = next_request(to);
        if (f.type == -1) return;
        to.say(frame(rst_stream, none, f.id, number_of(NGHTTP2_REFUSED_STREAM)));
      }
    });
    EXPECT_EQ(text_of(c.get(background(), never.url())),
              "error: " + make_error_code(errc::stream_reset).message());
    c.close_idle();
  });
}

TEST(client_test, a_server_that_goes_away_finishes_what_it_has_begun) {
  run([] {
    frame_server s([](frame_stream& to, int number) {
      seen f = next_request(to);
      if (number == 0) {
        to.say(frame(goaway, none, 0, number_of(f.id) + number_of(0)) +
               frame(ping, none, 0, "12345678"));
        to.hear_until([](const seen& one) { return one.type == ping && one.has(ack); });
      }
      to.say(answer_of(f.id, number == 0 ? "old" : "new"));
      until_the_end(to);
    });
    client c = h2c({.idle_timeout = 1s});
    EXPECT_EQ(text_of(c.get(background(), s.url())), "old");
    EXPECT_EQ(text_of(c.get(background(), s.url())), "new");
    c.close_idle();
  });
}

TEST(client_test, malformed_answers_are_errors) {
  run([] {
    const std::string malformed = "error: " + make_error_code(errc::malformed).message();
    const std::string large = "error: " + make_error_code(errc::too_large).message();
    const std::pair<std::string, std::string> cases[] = {
        {frame(head, end_headers | end_stream, 1, block({{"x", "y"}})), malformed},
        {frame(head, end_headers | end_stream, 1, ok + field_of("Bad", "x")), malformed},
        {frame(head, end_headers | end_stream, 1, ok + field_of("connection", "close")), malformed},
        {frame(head, end_headers, 1, ok + field_of("content-length", "3")) +
             frame(data, end_stream, 1, "abcd"),
         malformed},
        {frame(head, end_headers, 1, ok + field_of("x", std::string(5000, 'x'))), large},
        {frame(data, end_stream, 1, "no head"), ""},
        {frame(settings, none, 0, "odd"), ""},
        {"HTTP/1.1 400 Bad Request\r\n\r\n", ""},
    };
    for (const auto& [said, outcome] : cases) {
      frame_server s([&](frame_stream& to, int) {
        next_request(to);
        to.say(said);
        until_the_end(to);
      });
      client c = h2c({.idle_timeout = 50ms, .max_header_bytes = 4096});
      std::string text = text_of(c.get(background(), s.url()));
      EXPECT_TRUE(text.starts_with("error: ")) << text;
      if (!outcome.empty()) {
        EXPECT_EQ(text, outcome) << said;
      }
      c.close_idle();
    }
  });
}

TEST(client_test, an_answer_may_come_before_the_request_is_whole) {
  run([] {
    frame_server s([](frame_stream& to, int) {
      seen f = next_request(to);
      to.say(frame(head, end_headers, f.id, block({{":status", "103"}, {"x", "early"}})) +
             frame(head, end_headers, f.id, block({{":status", "413"}})) +
             frame(data, end_stream, f.id, "too much"));
      until_the_end(to);
    });
    client c = h2c({.idle_timeout = 1s});
    client_request req{.method = "POST", .url = s.url()};
    req.body_source = [](std::span<char> into) -> result<std::size_t> { return into.size(); };
    auto answer = c.do_(background(), std::move(req));
    ASSERT_TRUE(answer) << answer.error().message();
    EXPECT_EQ(answer->status(), 413);
    EXPECT_FALSE(answer->headers().contains("x"));
    EXPECT_EQ(answer->body().value(), "too much");
    answer = std::unexpected(errc::malformed);
    c.close_idle();
  });
}

TEST(client_test, a_source_that_fails_ends_its_request) {
  run([] {
    auto reset = make_chan<std::uint32_t>(10);
    auto begun = make_chan<unit>();
    frame_server s([=](frame_stream& to, int) {
      for (int i = 0; i < 3; ++i) {
        next_request(to);
        begun.send(unit{});
        reset.send(to.hear_type(rst_stream).word());
      }
      until_the_end(to);
    });
    client c = h2c({.idle_timeout = 1s});
    auto send = [&](const result<std::size_t>& what, std::optional<std::uint64_t> length) {
      client_request req{.method = "POST", .url = s.url()};
      req.body_source = [what, begun](std::span<char>) {
        begun.recv();
        return what;
      };
      req.body_length = length;
      auto answer = c.do_(background(), std::move(req));
      EXPECT_EQ(*reset.recv(), static_cast<std::uint32_t>(NGHTTP2_CANCEL));
      return answer ? std::error_code() : answer.error();
    };
    EXPECT_EQ(send(std::unexpected(make_error_code(std::errc::io_error)), {}), std::errc::io_error);
    EXPECT_EQ(send(0, 5), errc::ended_early);
    EXPECT_EQ(send(6, 5), errc::content_length);
    c.close_idle();
  });
}

TEST(client_test, a_connection_that_nobody_uses_is_closed) {
  run([] {
    auto ended = make_chan<std::uint32_t>(1);
    frame_server s([=](frame_stream& to, int) {
      seen f = next_request(to);
      to.say(answer_of(f.id, "ok"));
      until_the_end(to);
      ended.send(to.goodbye.value_or(99));
    });
    client c = h2c({.idle_timeout = 50ms});
    EXPECT_EQ(text_of(c.get(background(), s.url())), "ok");
    EXPECT_EQ(*ended.recv(), 0u);
    {
      client other = h2c();
      EXPECT_EQ(text_of(other.get(background(), s.url())), "ok");
    }
    EXPECT_EQ(*ended.recv(), 0u);  // with the client
  });
}

TEST(client_test, a_server_that_shuts_down_answers_every_request_that_it_took) {
  run([] {
    std::atomic<int> taken = 0;
    serving s([&](server& to) {
      to.handle("/", [&](http::request& req, response& res) {
        ++taken;
        yield();
        res.write(req.body());
      });
    });
    client c = h2c();
    std::atomic<int> answered = 0;
    wait_group all;
    for (int i = 0; i < 20; ++i) {
      all.go([&] {
        // Until nobody listens any more.
        for (;;) {
          auto answer = c.post(background(), s.url("/"), "text/plain", "body");
          if (!answer) return;
          EXPECT_EQ(text_of(std::move(answer)), "body");
          ++answered;
        }
      });
    }
    EXPECT_TRUE(test::eventually([&] { return answered > 200; }));
    EXPECT_FALSE(s->shutdown(background()));
    all.wait();
    EXPECT_EQ(answered, taken);
  });
}

}  // namespace
}  // namespace runnel::http::h2
