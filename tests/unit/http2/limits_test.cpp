// Limits of a connection of HTTP/2, and shutting down.

#include <atomic>

#include "frames.h"
#include "support/wait.h"

namespace runnel::http::h2 {
namespace {

using namespace std::chrono_literals;

void hello(server& s) {
  s.handle("/{$}", [](http::request&, response& res) { res.write("hello"); });
  s.handle("/echo", [](http::request& req, response& res) { res.write(req.body()); });
  s.handle("/wait", [](http::request& req, response&) { req.ctx().done().recv(); });
}

TEST(limits_test, more_streams_than_allowed_are_refused) {
  run([] {
    serving s(hello, {.max_concurrent_streams = 2});
    frame_peer p(s);
    seen f = p.hear();
    EXPECT_EQ(f.type, settings);
    EXPECT_TRUE(has(f.payload, setting(3, 2)));
    std::string said = get(1, "/wait") + get(3, "/wait") + get(5, "/");
    EXPECT_EQ(what_comes_of(s, said), "connection PROTOCOL_ERROR");
    // As long as it has not been said, they may be tried again.
    frame_peer early(s, false);
    early.say(std::string(preface) + frame(settings, none, 0, "") + said);
    EXPECT_EQ(early.answer_to(5).reset, NGHTTP2_REFUSED_STREAM);
  });
}

TEST(limits_test, handlers_of_streams_that_were_reset_count) {
  run([] {
    std::atomic<int> running = 0;
    std::atomic<int> most = 0;
    auto go_on = make_chan<unit>();
    serving s(
        [&](server& to) {
          hello(to);
          to.handle("/busy", [&, go_on](http::request&, response&) {
            int now = ++running;
            if (now > most) most = now;
            go_on.recv();
            --running;
          });
        },
        {.max_concurrent_streams = 2});
    frame_peer p(s);
    std::uint32_t id = 1;
    for (int i = 0; i < 50; ++i, id += 2) {
      p.say(get(id, "/busy") + frame(rst_stream, none, id, number(NGHTTP2_CANCEL, 4)));
    }
    p.say(get(id));
    EXPECT_TRUE(p.catch_up());
    EXPECT_EQ(p.answers[id].status, 0);
    go_on.close();
    EXPECT_EQ(p.answer_to(id).status, 200);
    EXPECT_LE(most, 2);
  });
}

TEST(limits_test, a_client_that_resets_without_end_is_told_to_calm_down) {
  run([] {
    serving s(hello);
    std::string storm;
    for (std::uint32_t id = 1; id < 2000; id += 2) {
      storm += get(id, "/wait") + frame(rst_stream, none, id, number(NGHTTP2_CANCEL, 4));
    }
    EXPECT_EQ(what_comes_of(s, storm), "connection ENHANCE_YOUR_CALM");
    // Who makes the server reset is no better.
    frame_peer p(s);
    std::uint32_t id = 1;
    for (bool alive = true; alive && id < 2000;) {
      for (int i = 0; i < 50; ++i, id += 2) p.say(get(id, "/", {{"Bad", "x"}}));
      alive = p.catch_up();
    }
    EXPECT_EQ(p.goodbye, NGHTTP2_ENHANCE_YOUR_CALM);
    // Now and then it is all right.
    storm.clear();
    for (id = 1; id < 200; id += 2) {
      storm += get(id, "/wait") + frame(rst_stream, none, id, number(NGHTTP2_CANCEL, 4));
    }
    EXPECT_EQ(what_comes_of(s, storm), "fine");
  });
}

TEST(limits_test, floods_of_what_must_be_answered_end_the_connection) {
  run([] {
    serving s(hello, {.write_timeout = duration::zero()});
    frame_peer p(s);
    // Nothing is read meanwhile, so that answers pile up.
    std::string flood;
    for (int i = 0; i < 1000; ++i) flood += frame(ping, none, 0, "12345678");
    wait_group saying;
    saying.go([&] {
      while (p.conn().write(flood)) {
      }
    });
    saying.wait();
  });
}

TEST(limits_test, a_head_over_the_limit_is_answered_or_ends_the_connection) {
  run([] {
    serving s(hello, {.max_header_bytes = 4096});
    frame_peer p(s);
    seen f = p.hear();
    EXPECT_TRUE(has(f.payload, setting(6, 4096)));
    p.say(get(1, "/", {{"x", std::string(5000, 'a')}}));
    EXPECT_EQ(p.answer_to(1).status, 431);
    pairs many;
    for (int i = 0; i < 300; ++i) many.emplace_back("a", "b");
    p.say(get(3, "/", many));
    EXPECT_EQ(p.answer_to(3).status, 431);
    // A bomb: one large field, then one byte for each time it comes again.
    std::string bomb = "\x40" + size_of(1) + "x" + size_of(3000) + std::string(3000, 'b');
    bomb += std::string(8000, '\xbe');
    p.say(frame(head, end_headers | end_stream, 5, request_block("GET", "/") + bomb));
    EXPECT_EQ(p.answer_to(5).reset, NGHTTP2_ENHANCE_YOUR_CALM);
    p.say(get(7));
    EXPECT_EQ(p.answer_to(7).status, 200);
    // Pieces without end.
    std::string pieces = frame(head, none, 9, request_block("GET", "/"));
    for (int i = 0; i < 1000; ++i) pieces += frame(continuation, none, 9, "");
    p.say(pieces);
    p.hear_type(-1);
    EXPECT_TRUE(p.goodbye && *p.goodbye != 0);
  });
}

TEST(limits_test, a_body_over_the_limit_is_refused) {
  run([] {
    serving s(hello, {.max_body_bytes = 1000});
    frame_peer p(s);
    p.say(post(1, "/echo", {{"content-length", "1001"}}) + post(3, "/echo") +
          frame(data, none, 3, std::string(1001, 'x')) + post(5, "/echo") +
          frame(data, end_stream, 5, std::string(1001, 'x')) + post(7, "/echo") +
          frame(data, end_stream, 7, std::string(1000, 'x')));
    EXPECT_EQ(p.answer_to(1).status, 413);
    EXPECT_EQ(p.answer_to(3).status, 413);
    EXPECT_EQ(p.answer_to(5).status, 413);
    EXPECT_EQ(p.answer_to(7).status, 200);
  });
}

TEST(limits_test, what_comes_too_slowly_is_cut_off) {
  run([] {
    serving s(hello, {.read_header_timeout = 50ms, .read_timeout = 50ms});
    frame_peer silent(s, false);
    silent.say(preface);
    EXPECT_EQ(silent.hear_type(-1).type, -1);
    frame_peer slow(s);
    slow.say(get(1, "/wait") + frame(head, end_stream, 3, request_block("GET", "/")));
    slow.hear_type(-1);
    EXPECT_EQ(slow.goodbye, NGHTTP2_ENHANCE_YOUR_CALM);
    frame_peer body(s);
    body.say(post(1) + frame(data, none, 1, "part"));
    EXPECT_EQ(body.answer_to(1).status, 408);
  });
}

TEST(limits_test, a_head_that_was_refused_is_not_waited_for) {
  run([] {
    serving s(hello, {.read_header_timeout = 50ms, .max_header_bytes = 4096});
    std::string bomb = "\x40" + size_of(1) + "x" + size_of(3000) + std::string(3000, 'b') +
                       std::string(8000, '\xbe');
    for (const std::string& bad :
         {get(1, "/", {{"Bad", "x"}}), get(1, "/", {{"x", "a\nb"}}), get(1, "/", {{"te", "gzip"}}),
          get(1, "/", {{"x", std::string(5000, 'x')}}), get(1, "/", {{":path", "/"}}),
          frame(head, end_headers | end_stream, 1, field_of("x", "y")),
          frame(head, end_headers | end_stream, 1, request_block("GET", "/") + bomb),
          post(1, "/wait") + frame(head, end_headers | end_stream, 1, field_of(":path", "y")),
          get(3) + get(1)}) {
      frame_peer p(s);
      p.say(bad);
      EXPECT_TRUE(p.catch_up());
      sleep(100ms);
      p.say(get(5));
      EXPECT_EQ(p.answer_to(5).status, 200) << bad;
    }
  });
}

TEST(limits_test, an_idle_connection_is_closed) {
  run([] {
    serving s(hello, {.idle_timeout = 50ms});
    frame_peer p(s);
    p.say(get(1));
    EXPECT_EQ(p.answer_to(1).body, "hello");
    p.hear_type(-1);
    EXPECT_EQ(p.goodbye, NGHTTP2_NO_ERROR);
    // One with a request under way is not idle.
    auto go_on = make_chan<unit>();
    serving busy(
        [&](server& to) {
          to.handle("/", [=](http::request&, response& res) {
            sleep(120ms);
            res.write("late");
          });
        },
        {.idle_timeout = 50ms});
    frame_peer q(busy);
    q.say(get(1));
    EXPECT_EQ(q.answer_to(1).body, "late");
  });
}

TEST(limits_test, a_client_that_takes_nothing_is_given_up) {
  run([] {
    auto failed = make_chan<std::error_code>(2);
    serving s(
        [&](server& to) {
          hello(to);
          to.handle("/endless", [failed](http::request&, response& res) {
            std::string piece(10000, 'x');
            for (;;) {
              if (std::error_code why = res.write(piece)) return (void)failed.send(why);
            }
          });
          to.handle("/short", [](http::request&, response& res) { res.write("short"); });
        },
        {.write_timeout = 50ms});
    frame_peer p(s, true, setting(4, 0));
    p.say(get(1, "/endless"));
    EXPECT_EQ(*failed.recv(), std::errc::timed_out);
    EXPECT_EQ(p.answer_to(1).reset, NGHTTP2_CANCEL);
    // Nor does what its handler has left behind stay for ever.
    p.say(get(3, "/short"));
    EXPECT_EQ(p.answer_to(3).reset, NGHTTP2_CANCEL);
    // One whose connection takes nothing.
    frame_peer q(s, true, setting(4, 0x7fffffff));
    q.say(frame(window_update, none, 0, number(0x7fffffff - 65535, 4)) + get(1, "/endless"));
    EXPECT_TRUE(*failed.recv());
  });
}

TEST(limits_test, shutdown_lets_streams_finish_and_refuses_others) {
  run([] {
    auto entered = make_chan<unit>();
    auto go_on = make_chan<unit>();
    serving s([&](server& to) {
      hello(to);
      to.handle("/slow", [=](http::request&, response& res) {
        entered.send(unit{});
        go_on.recv();
        res.write("slow");
      });
    });
    frame_peer idle(s);
    idle.say(get(1));
    EXPECT_EQ(idle.answer_to(1).status, 200);
    frame_peer busy(s);
    busy.say(get(1, "/slow"));
    entered.recv();
    auto done = make_chan<std::error_code>(1);
    go([&] { done.send(s->shutdown(background())); });
    seen f = busy.hear_type(goaway);
    EXPECT_EQ(f.word(0), 0x7fffffffu);
    EXPECT_EQ(f.word(4), static_cast<std::uint32_t>(NGHTTP2_NO_ERROR));
    f = busy.hear_type(ping);
    // What was under way to it is served.
    busy.say(get(3) + frame(ping, ack, 0, f.payload));
    EXPECT_EQ(busy.answer_to(3).status, 200);
    while (busy.last_served != 3) busy.hear_type(goaway);
    busy.say(get(5));
    f = idle.hear_type(ping);
    idle.say(frame(ping, ack, 0, f.payload));
    idle.hear_type(-1);
    EXPECT_EQ(idle.goodbye, NGHTTP2_NO_ERROR);
    EXPECT_EQ(done.try_recv().error(), chan_errc::empty);
    go_on.close();
    EXPECT_EQ(busy.answer_to(1).body, "slow");
    busy.hear_type(-1);
    EXPECT_FALSE(busy.answers.contains(5));
    busy.conn().close();
    idle.conn().close();
    EXPECT_FALSE(*done.recv());
  });
}

TEST(limits_test, shutdown_does_not_wait_long_for_a_client_that_does_not_answer) {
  run([] {
    serving s(hello);
    frame_peer p(s);
    p.say(get(1));
    EXPECT_EQ(p.answer_to(1).status, 200);
    auto [ctx, cancel] = with_timeout(background(), 20s);
    EXPECT_FALSE(s->shutdown(ctx));
    cancel();
  });
}

TEST(limits_test, shutdown_closes_what_is_left_when_its_context_ends) {
  run([] {
    auto entered = make_chan<unit>();
    serving s([&](server& to) {
      to.handle("/", [=](http::request& req, response&) {
        context ctx = req.ctx();
        entered.send(unit{});
        ctx.done().recv();
      });
    });
    frame_peer p(s);
    p.say(get(1));
    entered.recv();
    auto [ctx, cancel] = with_timeout(background(), 50ms);
    EXPECT_EQ(s->shutdown(ctx), context_errc::deadline_exceeded);
    p.hear_type(-1);
    cancel();
  });
}

}  // namespace
}  // namespace runnel::http::h2
