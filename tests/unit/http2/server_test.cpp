// What handlers and clients of HTTP/2 can rely on.

#include <atomic>
#include <mutex>

#include "frames.h"
#include "support/wait.h"

namespace runnel::http::h2 {
namespace {

using namespace std::chrono_literals;

std::string text_of(std::error_code e) { return e ? e.message() : "none"; }

void prepare(server& s) {
  s.handle("/{$}", [](http::request&, response& res) { res.write("hello"); });
  s.handle("/echo", [](http::request& req, response& res) { res.write(req.body()); });
  s.handle("/stream", [](http::request& req, response& res) {
    char piece[1000];
    while (auto n = req.read(piece)) {
      if (*n == 0) break;
      if (res.write({piece, *n})) break;
      res.flush();
    }
  });
}

TEST(server_test, a_request_says_what_it_would_by_http_1) {
  run([] {
    serving s([](server& to) {
      to.handle("POST /a/{id}", [](http::request& req, response& res) {
        res.status(201).header("X-Said", req.header("x-said"));
        std::string text(req.proto());
        for (std::string_view one : {req.method(), req.target(), req.path(), req.raw_query(),
                                     req.host(), req.header("Host"), req.header("cookie")}) {
          text.append("|").append(one);
        }
        text.append("|").append(req.path_value("id")).append("|").append(req.query("q"));
        text.append("|").append(std::to_string(req.content_length().value_or(0)));
        res.write(text + "|" + std::string(req.body()));
        EXPECT_EQ(req.version_major(), 2);
        EXPECT_EQ(req.remote().to_string().substr(0, 10), "127.0.0.1:");
      });
    });
    frame_peer p(s);
    p.say(request(
              1, "POST", "/a/b%20c?q=d+e",
              {{"x-said", "this"}, {"cookie", "a=1"}, {"cookie", "b=2"}, {"content-length", "4"}}) +
          frame(data, end_stream, 1, "body"));
    const answer& a = p.answer_to(1);
    EXPECT_EQ(a.status, 201);
    EXPECT_EQ(a.field("x-said"), "this");
    EXPECT_EQ(a.field("content-type"), "text/plain; charset=utf-8");
    EXPECT_NE(a.field("date"), "");
    EXPECT_EQ(a.body, "HTTP/2.0|POST|/a/b%20c?q=d+e|/a/b c|q=d+e|x|x|a=1; b=2|b c|d e|4|body");
    EXPECT_EQ(a.field("content-length"), std::to_string(a.body.size()));
  });
}

TEST(server_test, requests_of_one_connection_run_at_the_same_time) {
  run([] {
    auto go_on = make_chan<unit>();
    serving s([&](server& to) {
      prepare(to);
      to.handle("/late", [=](http::request&, response& res) {
        go_on.recv();
        res.write("late");
      });
    });
    frame_peer p(s);
    p.say(get(1, "/late") + get(3));
    EXPECT_EQ(p.answer_to(3).body, "hello");
    EXPECT_EQ(p.answers[1].status, 0);
    go_on.close();
    EXPECT_EQ(p.answer_to(1).body, "late");
  });
}

TEST(server_test, bodies_go_both_ways_while_they_come) {
  run([] {
    serving s(prepare);
    frame_peer p(s);
    p.say(post(1, "/stream"));
    for (const char* part : {"one", "two", "three"}) {
      p.say(frame(data, none, 1, part));
      EXPECT_EQ(p.hear_until([](const seen& f) { return f.type == data; }).payload, part);
    }
    p.say(frame(data, end_stream, 1, ""));
    EXPECT_TRUE(p.answer_to(1).complete);
  });
}

TEST(server_test, trailers_come_and_go) {
  run([] {
    serving s([](server& to) {
      to.handle("/", [](http::request& req, response& res) {
        res.trailer("X-Sum", "");
        EXPECT_TRUE(req.trailers().empty());
        res.write(req.body());
        res.trailer("X-Sum", req.trailers().get("x-in"));
      });
    });
    frame_peer p(s);
    p.say(post(1, "/") + frame(data, none, 1, "abc") +
          frame(head, end_headers | end_stream, 1, field_of("x-in", "7")));
    const answer& a = p.answer_to(1);
    EXPECT_EQ(a.body, "abc");
    EXPECT_EQ(a.field("x-sum"), "7");
    EXPECT_EQ(a.field("trailer"), "X-Sum");
    EXPECT_EQ(a.field("content-length"), "");
  });
}

TEST(server_test, trailers_are_no_fields_of_the_head_even_if_the_handler_has_not_begun) {
  run([] {
    auto go_on = make_chan<unit>();
    serving s(
        [=](server& to) {
          to.handle("/", [=](http::request& req, response& res) {
            go_on.recv();
            EXPECT_EQ(req.header("x-in"), "");
            res.write(req.body());
            res.write(req.trailers().get("x-in"));
          });
        },
        {.max_concurrent_streams = 1});
    frame_peer p(s);
    // The first one's handler keeps the second one's from beginning.
    p.say(get(1) + frame(rst_stream, none, 1, number(NGHTTP2_CANCEL, 4)) + post(3, "/") +
          frame(data, none, 3, "abc") +
          frame(head, end_headers | end_stream, 3, field_of("x-in", "7")));
    EXPECT_TRUE(p.catch_up());
    go_on.close();
    EXPECT_EQ(p.answer_to(3).body, "abc7");
  });
}

TEST(server_test, a_client_that_waits_to_send_is_told_to_go_on) {
  run([] {
    serving s(prepare, {.max_body_bytes = 100});
    frame_peer p(s);
    p.say(post(1, "/echo", {{"expect", "100-continue"}}));
    p.hear_type(head);
    EXPECT_EQ(p.answers[1].informational, std::vector<int>{100});
    p.say(frame(data, end_stream, 1, "body"));
    EXPECT_EQ(p.answer_to(1).body, "body");
    // Not if it would be too much, or nobody reads it.
    p.say(post(3, "/echo", {{"expect", "100-continue"}, {"content-length", "101"}}) +
          post(5, "/", {{"expect", "100-continue"}}));
    EXPECT_EQ(p.answer_to(3).status, 413);
    EXPECT_EQ(p.answer_to(5).status, 200);
    EXPECT_TRUE(p.answers[3].informational.empty());
    EXPECT_TRUE(p.answers[5].informational.empty());
  });
}

TEST(server_test, what_has_no_body_sends_none) {
  run([] {
    serving s([](server& to) {
      prepare(to);
      to.handle("/none", [](http::request&, response& res) {
        res.status(204);
        res.write("ignored");
      });
    });
    frame_peer p(s);
    p.say(request(1, "HEAD", "/", {}, end_headers | end_stream) + get(3, "/none"));
    EXPECT_TRUE(p.answer_to(1).complete);
    EXPECT_EQ(p.answers[1].field("content-length"), "5");
    EXPECT_EQ(p.answers[1].body, "");
    EXPECT_EQ(p.answer_to(3).status, 204);
    EXPECT_EQ(p.answers[3].body, "");
    EXPECT_EQ(p.answers[3].field("content-length"), "");
  });
}

TEST(server_test, a_client_that_sends_on_after_the_answer_is_told_to_stop) {
  run([] {
    serving s(prepare);
    frame_peer p(s);
    p.say(post(1, "/") + frame(data, none, 1, "part"));
    EXPECT_EQ(p.answer_to(1).body, "hello");
    EXPECT_EQ(p.hear_type(rst_stream).word(), NGHTTP2_NO_ERROR);
    p.say(frame(data, none, 1, "more") + get(3));
    EXPECT_EQ(p.answer_to(3).body, "hello");
  });
}

TEST(server_test, a_handler_that_panics_is_answered_for_and_logged) {
  run([] {
    mutex mu;
    std::string logged;
    server_options options;
    options.log = [&](std::string_view line) {
      std::lock_guard hold(mu);
      logged += line;
    };
    serving s(
        [](server& to) {
          prepare(to);
          to.handle("/panic", [](http::request&, response&) { panic("oh no"); });
          to.handle("/late", [](http::request&, response& res) {
            res.write("part");
            res.flush();
            panic("too late");
          });
          to.handle("/teapot", [](http::request&, response&) { throw status_error(418, "tea"); });
          to.handle("/abort", [](http::request&, response&) { throw abort_handler(); });
          to.handle("/gone", [](http::request&, response&) { goexit(); });
        },
        options);
    frame_peer p(s);
    p.say(get(1, "/panic") + get(3, "/late") + get(5, "/teapot") + get(7, "/abort") +
          get(9, "/gone") + get(11));
    EXPECT_EQ(p.answer_to(1).status, 500);
    EXPECT_EQ(p.answer_to(3).status, 200);
    EXPECT_EQ(p.answers[3].reset, NGHTTP2_INTERNAL_ERROR);
    EXPECT_EQ(p.answer_to(5).status, 418);
    EXPECT_EQ(p.answers[5].body, "tea\n");
    EXPECT_EQ(p.answer_to(7).reset, NGHTTP2_INTERNAL_ERROR);
    EXPECT_EQ(p.answer_to(9).reset, NGHTTP2_INTERNAL_ERROR);
    EXPECT_EQ(p.answer_to(11).status, 200);
    std::lock_guard hold(mu);
    EXPECT_TRUE(has(logged, "oh no")) << logged;
    EXPECT_TRUE(has(logged, "too late")) << logged;
    EXPECT_FALSE(has(logged, "tea")) << logged;
  });
}

TEST(server_test, a_body_of_another_length_than_announced_is_no_answer) {
  run([] {
    serving s([](server& to) {
      to.handle("/short", [](http::request&, response& res) {
        res.header("Content-Length", "5");
        res.write("abc");
      });
      to.handle("/empty", [](http::request&, response& res) { res.header("Content-Length", "5"); });
      to.handle("/long", [](http::request&, response& res) {
        res.header("Content-Length", "3");
        res.write("abc");
        res.flush();
        EXPECT_EQ(res.write("d"), errc::content_length);
      });
    });
    frame_peer p(s);
    p.say(get(1, "/short") + get(3, "/empty") + get(5, "/long"));
    EXPECT_EQ(p.answer_to(1).reset, NGHTTP2_INTERNAL_ERROR);
    EXPECT_EQ(p.answer_to(3).reset, NGHTTP2_INTERNAL_ERROR);
    EXPECT_TRUE(p.answer_to(5).complete);
    EXPECT_EQ(p.answers[5].body, "abc");
  });
}

TEST(server_test, fields_of_connections_are_not_sent) {
  run([] {
    serving s([](server& to) {
      to.handle("/", [](http::request&, response& res) {
        for (const char* name :
             {"Keep-Alive", "Transfer-Encoding", "Upgrade", "Proxy-Connection"}) {
          res.header(name, "x");
        }
        res.header("X-Kept", "yes");
      });
    });
    frame_peer p(s);
    p.say(get(1));
    const answer& a = p.answer_to(1);
    EXPECT_EQ(a.status, 200);
    EXPECT_EQ(a.field("x-kept"), "yes");
    EXPECT_EQ(a.fields.size(), 3u);  // and the date, and the length
  });
}

TEST(server_test, connection_close_ends_the_connection_after_what_is_under_way) {
  run([] {
    serving s([](server& to) {
      to.handle("/", [](http::request&, response& res) { res.header("Connection", "close"); });
    });
    frame_peer p(s);
    p.say(get(1));
    seen f = p.hear_type(ping);
    p.say(frame(ping, ack, 0, f.payload));
    EXPECT_EQ(p.answer_to(1).status, 200);
    p.hear_type(-1);
    EXPECT_EQ(p.goodbye, NGHTTP2_NO_ERROR);
    EXPECT_EQ(p.last_served, 1u);
  });
}

TEST(server_test, no_more_is_sent_than_the_windows_allow) {
  run([] {
    const std::size_t size = 300'000;
    serving s([&](server& to) {
      to.handle("/", [&](http::request&, response& res) { res.write(std::string(size, 'x')); });
    });
    frame_peer p(s, true, setting(4, 10));  // a stream's
    p.say(get(1));
    p.hear_type(data);
    EXPECT_TRUE(p.catch_up());
    EXPECT_EQ(p.answers[1].body.size(), 10u);
    p.say(frame(window_update, none, 1, number(size, 4)));
    EXPECT_TRUE(p.hear_until([&](const seen&) { return p.answers[1].body.size() == 65535; }).type !=
                -1);
    EXPECT_TRUE(p.catch_up());
    EXPECT_EQ(p.answers[1].body.size(), 65535u);  // the connection's
    p.say(frame(window_update, none, 0, number(size, 4)));
    EXPECT_EQ(p.answer_to(1).body, std::string(size, 'x'));
    EXPECT_TRUE(p.answers[1].complete);
  });
}

TEST(server_test, a_handler_waits_for_a_client_that_takes_nothing) {
  run([] {
    std::atomic<std::size_t> written = 0;
    auto failed = make_chan<std::error_code>(1);
    serving s([&](server& to) {
      prepare(to);
      to.handle("/endless", [&, failed](http::request&, response& res) {
        std::string piece(1000, 'x');
        for (;;) {
          if (std::error_code why = res.write(piece)) return (void)failed.send(why);
          written += piece.size();
        }
      });
    });
    frame_peer p(s, true, setting(4, 0));
    p.say(get(1, "/endless"));
    p.hear_type(head);
    // Others are served meanwhile.
    p.say(frame(settings, none, 0, setting(4, 100)) + get(3));
    EXPECT_EQ(p.answer_to(3).body, "hello");
    EXPECT_TRUE(p.catch_up());
    EXPECT_LE(written, 64u << 10);
    p.say(frame(rst_stream, none, 1, number(NGHTTP2_CANCEL, 4)));
    EXPECT_EQ(*failed.recv(), errc::stream_reset);
  });
}

TEST(server_test, the_window_opens_only_as_the_body_is_read) {
  run([] {
    auto go_on = make_chan<unit>();
    serving s([&](server& to) {
      to.handle("/", [=](http::request& req, response& res) {
        go_on.recv();
        res.write(std::to_string(req.body().size()));
      });
    });
    frame_peer p(s);
    std::string full;
    for (int i = 0; i < 16; ++i) full += frame(data, none, 1, std::string(16384, 'x'));
    p.say(post(1, "/") + full);
    bool opened = false;
    auto opens = [&](const seen& f) {
      opened |= f.type == window_update && f.id == 1;
      return opened;
    };
    p.say(frame(ping, none, 0, "12345678"));
    p.hear_until([&](const seen& f) { return opens(f) || f.type == ping; });
    EXPECT_FALSE(opened);
    go_on.close();
    p.hear_until(opens);
    EXPECT_TRUE(opened);
    p.say(frame(data, end_stream, 1, "y"));
    EXPECT_EQ(p.answer_to(1).body, "262145");
  });
}

TEST(server_test, a_context_ends_with_its_stream_and_with_its_connection) {
  run([] {
    auto entered = make_chan<unit>();
    auto ended = make_chan<std::string>(10);
    serving s([&](server& to) {
      prepare(to);
      to.handle("/wait", [=](http::request& req, response& res) {
        context ctx = req.ctx();
        EXPECT_FALSE(ctx.err());
        entered.send(unit{});
        ctx.done().recv();
        ended.send(text_of(res.write("nobody hears it") ? res.flush() : res.flush()));
      });
    });
    frame_peer p(s);
    p.say(get(1, "/wait"));
    entered.recv();
    p.say(frame(rst_stream, none, 1, number(NGHTTP2_CANCEL, 4)));
    EXPECT_EQ(*ended.recv(), make_error_code(errc::stream_reset).message());
    p.say(get(3));
    EXPECT_EQ(p.answer_to(3).body, "hello");
    p.say(get(5, "/wait"));
    entered.recv();
    p.conn().close();
    EXPECT_EQ(*ended.recv(), make_error_code(errc::going_away).message());
  });
}

TEST(server_test, a_body_whose_stream_is_reset_ends_early) {
  run([] {
    auto got = make_chan<std::error_code>(1);
    auto begun = make_chan<unit>(1);
    serving s([&](server& to) {
      to.handle("/", [=](http::request& req, response&) {
        char piece[100];
        EXPECT_EQ(req.read(piece).value(), 4u);
        begun.send(unit{});
        auto n = req.read(piece);
        got.send(n ? std::error_code() : n.error());
      });
    });
    frame_peer p(s);
    p.say(post(1, "/") + frame(data, none, 1, "part"));
    begun.recv();
    p.say(frame(rst_stream, none, 1, number(NGHTTP2_CANCEL, 4)));
    EXPECT_EQ(*got.recv(), errc::stream_reset);
  });
}

TEST(server_test, a_client_of_http_1_is_served_by_the_same_server) {
  run([] {
    serving s(prepare);
    EXPECT_TRUE(answers_to(s, http::get("/")).ends_with("hello"));
    // The preface in pieces.
    frame_peer p(s, false);
    for (char c : preface) p.say({&c, 1});
    p.say(frame(settings, none, 0, "") + get(1));
    EXPECT_EQ(p.answer_to(1).body, "hello");
  });
}

}  // namespace
}  // namespace runnel::http::h2
