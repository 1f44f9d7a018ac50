// Limits of time, and shutting down.

#include "peer.h"

namespace runnel::http {
namespace {

using namespace std::chrono_literals;

void hello(server& s) {
  s.handle("/", [](request& req, response& res) {
    res.write("hello ");
    res.write(req.body());
  });
}

TEST(limits_test, a_head_that_comes_too_slowly_is_cut_off) {
  run([] {
    serving s(hello, {.read_header_timeout = 50ms});
    peer silent(s);
    EXPECT_EQ(silent.hear(), "");
    peer slow(s);
    slow.say("GET / HTTP/1.1\r\n");
    EXPECT_EQ(status_of(slow.hear()), 408);
    // A byte now and then does not help.
    peer dripping(s);
    auto stopped = make_chan<unit>();
    go([&] {
      while (dripping.conn().write("G")) sleep(5ms);
      stopped.close();
    });
    stopped.recv();
  });
}

TEST(limits_test, a_body_that_comes_too_slowly_is_cut_off) {
  run([] {
    serving s(hello, {.read_timeout = 50ms});
    std::string answer =
        answers_to(s, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
    EXPECT_EQ(status_of(answer), 408);
    EXPECT_TRUE(has(answer, "Connection: close"));
  });
}

TEST(limits_test, an_idle_connection_is_closed) {
  run([] {
    serving s(hello, {.idle_timeout = 50ms});
    EXPECT_TRUE(answers_to(s, get("/", "")).ends_with("hello "));
  });
}

TEST(limits_test, a_client_that_takes_nothing_is_given_up) {
  run([] {
    auto failed = make_chan<std::error_code>(1);
    serving s(
        [&](server& to) {
          to.handle("/", [failed](request&, response& res) {
            std::string piece(1 << 20, 'x');
            for (;;) {
              if (std::error_code why = res.write(piece)) {
                failed.send(why);
                return;
              }
            }
          });
        },
        {.write_timeout = 50ms});
    peer p(s);
    p.say(get("/"));
    EXPECT_EQ(*failed.recv(), std::errc::timed_out);
  });
}

TEST(limits_test, shutdown_waits_for_requests_and_closes_idle_connections) {
  run([] {
    auto entered = make_chan<unit>();
    auto go_on = make_chan<unit>();
    serving s([&](server& to) {
      hello(to);
      to.handle("/slow", [=](request&, response& res) {
        entered.send(unit{});
        go_on.recv();
        res.write("slow");
      });
    });
    peer idle(s);
    idle.say(get("/", ""));
    idle.hear("hello ");
    peer busy(s);
    busy.say(get("/slow", ""));
    entered.recv();
    peer fresh(s);
    fresh.say("GET / HTTP/1.1\r\n");
    auto done = make_chan<std::error_code>(1);
    go([&] { done.send(s->shutdown(background())); });
    EXPECT_EQ(s.wait(), errc::server_closed);
    EXPECT_EQ(idle.hear(), "");
    EXPECT_FALSE(net::dial("tcp", s.address()));
    fresh.say("Host: x\r\n\r\n");  // it has begun
    EXPECT_TRUE(fresh.hear().ends_with("hello "));
    EXPECT_EQ(done.try_recv().error(), chan_errc::empty);
    go_on.send(unit{});
    std::string answer = busy.hear();
    EXPECT_TRUE(answer.ends_with("slow")) << answer;
    EXPECT_TRUE(has(answer, "Connection: close")) << answer;
    EXPECT_FALSE(*done.recv());
  });
}

TEST(limits_test, a_connection_that_becomes_idle_after_shutdown_began_is_closed) {
  run([] {
    auto entered = make_chan<unit>();
    auto go_on = make_chan<unit>();
    serving s([&](server& to) {
      to.handle("/", [=](request&, response& res) {
        res.flush();  // the head is gone: it cannot say "Connection: close" any more
        entered.send(unit{});
        go_on.recv();
      });
    });
    peer p(s);
    p.say(get("/", ""));
    entered.recv();
    auto [ctx, cancel] = with_timeout(background(), 10s);
    auto done = make_chan<std::error_code>(1);
    go([&s, done, ctx] { done.send(s->shutdown(ctx)); });
    EXPECT_EQ(s.wait(), errc::server_closed);
    go_on.send(unit{});
    EXPECT_FALSE(has(p.hear(), "Connection: close"));
    EXPECT_FALSE(*done.recv());
    cancel();
  });
}

TEST(limits_test, shutdown_closes_what_is_left_when_its_context_ends) {
  run([] {
    auto entered = make_chan<unit>();
    serving s([&](server& to) {
      to.handle("/", [=](request& req, response&) {
        context ctx = req.ctx();
        entered.send(unit{});
        ctx.done().recv();
      });
    });
    peer p(s);
    p.say(get("/"));
    entered.recv();
    auto [ctx, cancel] = with_timeout(background(), 50ms);
    EXPECT_EQ(s->shutdown(ctx), context_errc::deadline_exceeded);
    p.hear();
  });
}

TEST(limits_test, after_shutdown_nothing_is_served) {
  run([] {
    server s;
    hello(s);
    EXPECT_FALSE(s.shutdown(background()));
    auto on = net::listen("tcp", "127.0.0.1:0");
    EXPECT_EQ(s.serve(*on), errc::server_closed);
  });
}

TEST(limits_test, middleware_runs_around_every_handler_in_its_order) {
  run([] {
    serving s([](server& to) {
      hello(to);
      for (const char* name : {"a", "b"}) {
        to.use([name](handler next) {
          return [name, next](request& req, response& res) {
            res.add_header("X-Order", name);
            next(req, res);
          };
        });
      }
    });
    EXPECT_TRUE(has(answers_to(s, get("/nothing/../")), "X-Order: a\r\nX-Order: b\r\n"));
  });
}

}  // namespace
}  // namespace runnel::http
