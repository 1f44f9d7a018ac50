// A server and clients that speak byte by byte.

#include <atomic>

#include "peer.h"

namespace runnel::http {
namespace {

using namespace std::chrono_literals;

void echo(server& s) {
  s.handle("/{$}", [](request&, response& res) { res.write("hello"); });
  s.handle("/echo", [](request& req, response& res) { res.write(req.body()); });
  s.handle("/unread", [](request&, response& res) { res.write("unread"); });
  s.handle("/chunks", [](request&, response& res) {
    res.write("one ");
    res.flush();
    res.write("two");
  });
  s.handle("/trailers", [](request& req, response& res) {
    std::string body(req.body());
    res.trailer("X-Sum", "1");
    res.write(body + std::string(req.trailers().get("x-in")));
    res.trailer("X-Sum", "2");
  });
  s.handle("/long", [](request&, response& res) {
    res.header("Content-Length", "3");
    res.write("ab");
    EXPECT_EQ(res.write("cd"), errc::content_length);
  });
  s.handle("/short", [](request&, response& res) {
    res.header("Content-Length", "3");
    res.write("ab");
  });
  s.handle("/empty", [](request&, response& res) { res.status(204); });
}

TEST(server_test, requests_on_one_connection_are_answered_in_their_order) {
  run([] {
    serving s(echo);
    peer p(s);
    p.say(get("/", ""));
    std::string answer = p.hear("hello");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
    EXPECT_TRUE(has(answer, "\r\nContent-Length: 5\r\n")) << answer;
    EXPECT_TRUE(has(answer, "\r\nContent-Type: text/plain; charset=utf-8\r\n")) << answer;
    EXPECT_TRUE(has(answer, "\r\nDate: ")) << answer;
    EXPECT_FALSE(has(answer, "Connection")) << answer;
    // Pipelined, one of them with a body.
    p.say("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody" + get("/empty", "") +
          get("/unread"));
    answer = p.hear();
    EXPECT_TRUE(has(answer, "\r\n\r\nbodyHTTP/1.1 204 No Content\r\nDate:")) << answer;
    EXPECT_TRUE(has(answer, "Connection: close\r\n\r\nunread")) << answer;
  });
}

TEST(server_test, a_body_that_was_not_read_is_not_taken_for_a_request) {
  run([] {
    serving s(echo);
    std::string hidden = get("/echo");
    std::string answer = answers_to(
        s, "POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(hidden.size()) +
               "\r\n\r\n" + hidden + get("/"));
    EXPECT_TRUE(has(answer, "\r\n\r\nunreadHTTP/1.1 200")) << answer;
    EXPECT_TRUE(answer.ends_with("hello")) << answer;
  });
}

TEST(server_test, bodies_come_in_chunks_cut_anywhere) {
  run([] {
    serving s(echo);
    std::string text =
        "POST /trailers HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: "
        "chunked\r\n\r\n"
        "3\r\nabc\r\nA;ext=1\r\n0123456789\r\n000\r\nX-In: yes\r\n\r\n";
    for (std::size_t cut : {std::size_t{1}, std::size_t{7}, text.size()}) {
      peer p(s);
      for (std::size_t at = 0; at < text.size(); at += cut) p.say(text.substr(at, cut));
      std::string answer = p.hear();
      EXPECT_TRUE(has(answer, "\r\nTrailer: X-Sum\r\n")) << answer;
      EXPECT_TRUE(answer.ends_with("\r\n\r\n10\r\nabc0123456789yes\r\n0\r\nX-Sum: 2\r\n\r\n"))
          << answer;
    }
  });
}

TEST(server_test, chunks_that_could_hide_a_request_are_refused) {
  run([] {
    serving s(echo);
    const std::string head = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (const char* body :
         {"3\nabc\r\n0\r\n\r\n", "3\r\nabcX\r\n0\r\n\r\n", "3\r\nabcXY0\r\n\r\n",
          "3\rXabc\r\n0\r\n\r\n", "0x3\r\nabc\r\n0\r\n\r\n", " 3\r\nabc\r\n0\r\n\r\n",
          "+3\r\nabc\r\n0\r\n\r\n", "3 abc\r\nabc\r\n0\r\n\r\n", "\r\nabc\r\n0\r\n\r\n",
          "1234567890123456\r\nabc\r\n0\r\n\r\n", "3;a\x01\r\nabc\r\n0\r\n\r\n",
          "0\r\nContent-Length: 3\r\n\r\n", "0\r\nA : b\r\n\r\n", "0\r\nA: b\r\n c\r\n\r\n",
          "0\r\nA: b\n\r\n"}) {
      std::string answer = answers_to(s, head + body + get("/"));
      EXPECT_EQ(status_of(answer), 400) << body;
      EXPECT_TRUE(has(answer, "Connection: close")) << body;
      EXPECT_FALSE(has(answer, "hello")) << body;
    }
  });
}

TEST(server_test, a_malformed_head_is_refused_and_the_connection_closed) {
  run([] {
    serving s(echo, {.max_header_bytes = 8192});
    const std::pair<std::string, int> cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\nHost: x\n\n", 400},
        {"GET /\r\n\r\n", 400},
        {"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na", 400},
        {"GET /" + std::string(9000, 'a') + " HTTP/1.1\r\n\r\n", 414},
        {get("/", "A: " + std::string(9000, 'a') + "\r\n"), 431},
        {"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", 501},
        {"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505},
        {"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    };
    for (const auto& [text, status] : cases) {
      std::string answer = answers_to(s, text + get("/"));
      EXPECT_EQ(status_of(answer), status) << text.substr(0, 80);
      EXPECT_TRUE(has(answer, "\r\nConnection: close\r\n")) << answer;
      EXPECT_FALSE(has(answer, "hello")) << answer;
    }
  });
}

TEST(server_test, a_large_head_within_the_limit_is_read) {
  run([] {
    serving s(echo);
    std::string answer =
        answers_to(s, get("/", "Connection: close\r\nA: " + std::string(60'000, 'a') + "\r\n"));
    EXPECT_EQ(body_of(answer), "hello");
  });
}

TEST(server_test, a_body_over_the_limit_is_refused) {
  run([] {
    serving s(echo, {.max_body_bytes = 10});
    std::string answer = answers_to(
        s, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n12345678901" + get("/"));
    EXPECT_EQ(status_of(answer), 413);
    EXPECT_FALSE(has(answer, "hello"));
    answer = answers_to(s,
                        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                        "6\r\n123456\r\n6\r\n123456\r\n0\r\n\r\n" +
                            get("/"));
    EXPECT_EQ(status_of(answer), 413);
    EXPECT_FALSE(has(answer, "hello"));
  });
}

TEST(server_test, a_large_body_is_streamed_both_ways) {
  run([] {
    serving s([](server& to) {
      to.handle("/copy", [](request& req, response& res) {
        char piece[3000];
        for (;;) {
          auto n = req.read(piece);
          if (!n || *n == 0) break;
          res.write(std::string_view(piece, *n));
        }
      });
    });
    std::string body(3 << 20, '\0');
    for (std::size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>(i * 7 >> 4);
    peer p(s);
    go([&p, &body] {
      p.say("POST /copy HTTP/1.0\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n");
      p.say(body);
    });
    EXPECT_EQ(body_of(p.hear()), body);
  });
}

TEST(server_test, what_was_flushed_comes_in_chunks_and_to_old_clients_until_the_end) {
  run([] {
    serving s(echo);
    std::string answer = answers_to(s, get("/chunks"));
    EXPECT_TRUE(has(answer, "Transfer-Encoding: chunked\r\n")) << answer;
    EXPECT_TRUE(answer.ends_with("\r\n\r\n4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n")) << answer;
    answer = answers_to(s, "GET /chunks HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_FALSE(has(answer, "chunked")) << answer;
    EXPECT_TRUE(has(answer, "Connection: close")) << answer;
    EXPECT_EQ(body_of(answer), "one two");
  });
}

TEST(server_test, head_is_answered_as_get_without_the_body) {
  run([] {
    serving s(echo);
    std::string answer =
        answers_to(s,
                   "HEAD / HTTP/1.1\r\nHost: x\r\n\r\nHEAD /chunks HTTP/1.1\r\nHost: "
                   "x\r\nConnection: close\r\n\r\n");
    EXPECT_TRUE(has(answer, "Content-Length: 5\r\n\r\nHTTP/1.1 200 OK")) << answer;
    EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
  });
}

TEST(server_test, a_handler_knows_whether_there_is_a_body) {
  run([] {
    std::vector<std::optional<std::uint64_t>> lengths;
    serving s([&](server& to) {
      to.handle("/", [&](request& req, response&) { lengths.push_back(req.content_length()); });
    });
    peer p(s);
    p.say(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" +
        get("/"));
    p.hear();
    EXPECT_EQ(lengths, (std::vector<std::optional<std::uint64_t>>{4, {}, 0}));
  });
}

TEST(server_test, an_announced_length_is_kept) {
  run([] {
    serving s(echo);
    // The rest is refused, and the body incomplete: the connection ends, so that the client sees it.
    std::string answer = answers_to(s, get("/long", "") + get("/"));
    EXPECT_TRUE(answer.ends_with("\r\n\r\nab")) << answer;
    answer = answers_to(s, get("/short", "") + get("/"));
    EXPECT_TRUE(answer.ends_with("\r\n\r\nab")) << answer;
  });
}

TEST(server_test, the_client_is_told_to_continue_when_the_body_is_read) {
  run([] {
    serving s(echo);
    peer p(s);
    p.say("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    EXPECT_EQ(p.hear("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    p.say("body");
    EXPECT_EQ(body_of(p.hear("body")), "body");
    // Not read: no continue, and the connection ends.
    p.say("POST /unread HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    std::string answer = p.hear();
    EXPECT_EQ(status_of(answer), 200);
    EXPECT_TRUE(has(answer, "Connection: close")) << answer;
  });
}

TEST(server_test, a_handler_that_throws_is_answered_with_500_and_logged) {
  std::string logged;
  run([&] {
    server_options options;
    options.log = [&](std::string_view line) { logged += line; };
    serving s(
        [](server& to) {
          to.handle("/panic", [](request&, response& res) {
            res.header("X-Gone", "1").write("part");
            panic("the reason");
          });
          to.handle("/throw",
                    [](request&, response&) { throw std::logic_error("of another kind"); });
          to.handle("/late", [](request&, response& res) {
            res.write("part");
            res.flush();
            panic("too late");
          });
          to.handle("/status",
                    [](request&, response&) { throw status_error(418, "short and stout"); });
          to.handle("/abort", [](request&, response&) { throw abort_handler(); });
        },
        options);
    std::string answer = answers_to(s, get("/panic", "") + get("/throw"));
    EXPECT_EQ(status_of(answer), 500);
    EXPECT_FALSE(has(answer, "part")) << answer;
    EXPECT_FALSE(has(answer, "X-Gone")) << answer;
    EXPECT_TRUE(has(answer, "\r\n\r\n500 Internal Server Error\nHTTP/1.1 500")) << answer;
    EXPECT_TRUE(answers_to(s, get("/late")).ends_with("\r\n\r\n4\r\npart\r\n"));
    answer = answers_to(s, get("/status"));
    EXPECT_EQ(status_of(answer), 418);
    EXPECT_EQ(body_of(answer), "short and stout\n");
    std::string before = logged;
    EXPECT_EQ(answers_to(s, get("/abort")), "");
    EXPECT_EQ(logged, before);
  });
  EXPECT_TRUE(has(logged, "http: panic serving 127.0.0.1:")) << logged;
  EXPECT_TRUE(has(logged, ": the reason\n")) << logged;
  EXPECT_TRUE(has(logged, "server_test.cpp")) << logged;  // the stack
  EXPECT_TRUE(has(logged, ": of another kind\n")) << logged;
  EXPECT_TRUE(has(logged, ": too late\n")) << logged;
}

TEST(server_test, the_context_ends_with_the_handler_and_when_the_client_goes_away) {
  run([] {
    auto after = make_chan<context>(1);
    auto entered = make_chan<unit>(1);
    auto seen = make_chan<std::error_code>(1);
    serving s([&](server& to) {
      to.handle("/keep", [after](request& req, response& res) {
        after.send(req.ctx());
        EXPECT_FALSE(req.ctx().err());
        res.write("kept");
      });
      to.handle("/wait", [=](request& req, response&) {
        context ctx = req.ctx();
        entered.send(unit{});
        ctx.done().recv();
        seen.send(ctx.err());
      });
    });
    peer p(s);
    p.say(get("/keep", ""));
    EXPECT_EQ(body_of(p.hear("kept")), "kept");
    context ended = *after.recv();
    ended.done().recv();
    // The watcher has not eaten the next request.
    p.say(get("/keep", "") + get("/keep", ""));
    EXPECT_TRUE(has(p.hear("kept"), "200 OK"));
    after.recv();
    after.recv();
    peer leaving(s);
    leaving.say(get("/wait"));
    entered.recv();
    leaving.conn().close();
    EXPECT_EQ(*seen.recv(), context_errc::canceled);
  });
}

}  // namespace
}  // namespace runnel::http
