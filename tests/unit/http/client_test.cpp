// The client against our own server, and against servers that say exactly what they are told.

#include <algorithm>
#include <atomic>
#include <cstdlib>

#include "net/http/url.h"
#include "peer.h"

namespace runnel::http {
namespace {

using namespace std::chrono_literals;

// For each connection, the next script: what it says after each request.
class scripted {
 public:
  explicit scripted(std::vector<std::vector<std::string>> scripts) {
    listener_ = net::listen("tcp", "127.0.0.1:0").value();
    ended_.go([this, scripts = std::move(scripts)] {
      for (const auto& script : scripts) {
        auto c = listener_.accept();
        if (!c) return;
        ++connections;
        for (const std::string& answer : script) {
          std::string request;
          char piece[4096];
          while (request.find("\r\n\r\n") == std::string::npos) {
            auto n = c->read(piece);
            if (!n || *n == 0) break;
            request.append(piece, *n);
          }
          requests.push_back(request);
          (void)c->write(answer);
        }
        c->close();
        closed.send(unit{});
      }
    });
  }
  ~scripted() {
    listener_.close();
    ended_.wait();
  }
  std::string url(std::string_view path = "/") const {
    return "http://" + listener_.addr().to_string() + std::string(path);
  }
  std::string authority() const { return listener_.addr().to_string(); }

  std::atomic<int> connections = 0;
  std::vector<std::string> requests;
  chan<unit> closed = make_chan<unit>(100);

 private:
  net::listener listener_;
  wait_group ended_;
};

// The body, or what went wrong.
std::string text_of(result<client_response> answer) {
  if (!answer) return "error: " + answer.error().message();
  auto body = answer->body();
  return body ? *body : "error: " + body.error().message();
}

const std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

TEST(client_test, what_is_asked_is_answered) {
  run([] {
    serving s([](server& to) {
      to.handle("GET /get", [](request& req, response& res) {
        res.header("X-Agent", req.header("user-agent")).write("got " + req.query("a"));
      });
      to.handle("POST /post", [](request& req, response& res) {
        res.status(201).write(req.header("Content-Type"));
        res.flush();
        res.write(req.body());
      });
    });
    client c;
    auto answer = c.get(background(), s.url("/get?a=b%20c"));
    ASSERT_TRUE(answer) << answer.error().message();
    EXPECT_EQ(answer->status(), 200);
    EXPECT_EQ(answer->header("x-agent"), "runnel");
    EXPECT_EQ(answer->body().value(), "got b c");
    answer = c.post(background(), s.url("/post"), "text/x", "the body");
    ASSERT_TRUE(answer) << answer.error().message();
    EXPECT_EQ(answer->status(), 201);
    EXPECT_EQ(answer->header("Transfer-Encoding"), "chunked");
    EXPECT_EQ(answer->body().value(), "text/xthe body");
  });
}

TEST(client_test, bodies_are_streamed_both_ways) {
  run([] {
    serving s([](server& to) {
      to.handle("/", [](request& req, response& res) {
        res.trailer("X-Bytes", "0");
        char piece[1000];
        std::size_t all = 0;
        for (;;) {
          auto n = req.read(piece);
          if (!n || *n == 0) break;
          all += *n;
          res.write(std::string_view(piece, *n));
        }
        res.trailer("X-Bytes", std::to_string(all));
      });
    });
    client c;
    int left = 100;
    client_request req{.method = "PUT", .url = s.url("/")};
    req.body_source = [&](std::span<char> into) -> result<std::size_t> {
      if (left-- == 0) return 0;
      std::ranges::fill(into.first(50), 'x');
      return 50;
    };
    auto answer = c.do_(background(), std::move(req));
    ASSERT_TRUE(answer) << answer.error().message();
    EXPECT_EQ(answer->body().value(), std::string(5000, 'x'));
    EXPECT_EQ(answer->trailers().get("x-bytes"), "5000");
  });
}

TEST(client_test, a_body_that_is_not_given_to_its_end_ends_the_exchange) {
  run([] {
    serving s([](server& to) { to.handle("/", [](request& req, response&) { req.body(); }); });
    client c;
    auto send = [&](std::optional<std::uint64_t> announced, const result<std::size_t>& second) {
      client_request req{.method = "PUT", .url = s.url("/")};
      req.body_length = announced;
      req.body_source = [second, first = true](std::span<char>) mutable {
        return std::exchange(first, false) ? result<std::size_t>(10) : second;
      };
      auto answer = c.do_(background(), std::move(req));
      return answer ? std::error_code() : answer.error();
    };
    EXPECT_EQ(send(20, 0), errc::ended_early);
    EXPECT_EQ(send(20, 11), errc::content_length);
    for (std::optional<std::uint64_t> announced : {std::optional<std::uint64_t>(20), {}}) {
      EXPECT_EQ(send(announced, std::unexpected(std::make_error_code(std::errc::io_error))),
                std::errc::io_error);
    }
  });
}

TEST(client_test, a_connection_whose_answer_was_read_is_used_again) {
  run([] {
    scripted s(
        {{ok, ok, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", ok},
         {ok}});
    client c;
    for (int i = 0; i < 4; ++i) EXPECT_EQ(text_of(c.get(background(), s.url())), "ok");
    EXPECT_EQ(s.connections, 1);
    s.closed.recv();
    // The server has closed it meanwhile.
    EXPECT_EQ(text_of(c.get(background(), s.url())), "ok");
    EXPECT_EQ(s.connections, 2);
  });
}

TEST(client_test, a_connection_whose_answer_was_not_read_is_closed) {
  run([] {
    scripted s({{ok}, {ok}});
    client c;
    EXPECT_TRUE(c.get(background(), s.url()));
    EXPECT_EQ(text_of(c.get(background(), s.url())), "ok");
    EXPECT_EQ(s.connections, 2);
  });
}

TEST(client_test, an_idempotent_request_that_finds_a_kept_connection_closed_is_sent_again) {
  run([] {
    // The second request is read and not answered.
    scripted s({{ok, ""}, {ok, ""}, {ok}});
    client c;
    EXPECT_EQ(text_of(c.get(background(), s.url())), "ok");
    EXPECT_EQ(text_of(c.get(background(), s.url())), "ok");
    EXPECT_EQ(s.connections, 2);
    // Not so a POST.
    auto answer = c.post(background(), s.url(), "text/plain", "");
    EXPECT_FALSE(answer);
    EXPECT_EQ(s.connections, 2);
    EXPECT_TRUE(c.get(background(), s.url()));
  });
}

TEST(client_test, idle_connections_are_limited_and_go_after_a_while) {
  run([] {
    scripted s({{ok, ""}, {ok}});
    client c({.idle_timeout = 30ms});
    EXPECT_EQ(text_of(c.get(background(), s.url())), "ok");
    s.closed.recv();  // its read has ended: the client has closed
    client none({.max_idle = 0});
    EXPECT_EQ(text_of(none.get(background(), s.url())), "ok");
  });
}

TEST(client_test, redirections_are_followed_by_their_rules) {
  run([] {
    serving s([](server& to) {
      to.handle("/target", [](request& req, response& res) {
        res.write(std::string(req.method()) + std::string(req.body()));
      });
      for (int code : {301, 302, 303, 307, 308}) {
        to.handle("/" + std::to_string(code), [code](request&, response& res) {
          res.redirect(code == 302 ? "target" : "/target", code);
        });
      }
      to.handle("/loop", [](request&, response& res) { res.redirect("/loop"); });
    });
    client c;
    for (auto [code, result] : {std::pair{301, "GET"},
                                {302, "GET"},
                                {303, "GET"},
                                {307, "POSTbody"},
                                {308, "POSTbody"}}) {
      auto answer = c.post(background(), s.url("/" + std::to_string(code)), "text/plain", "body");
      ASSERT_TRUE(answer) << answer.error().message();
      EXPECT_EQ(answer->body().value(), result) << code;
      EXPECT_EQ(answer->url(), s.url("/target"));
    }
    EXPECT_EQ(c.get(background(), s.url("/loop")).error(), errc::too_many_redirects);
    EXPECT_EQ(client({.max_redirects = 0}).get(background(), s.url("/loop"))->status(), 302);
  });
}

TEST(client_test, secrets_do_not_follow_to_another_host) {
  run([] {
    scripted other({{ok}});
    scripted s({{"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + other.url("/there") +
                 "\r\n\r\n"}});
    client_request req{.url = s.url()};
    req.headers.set("Authorization", "secret");
    req.headers.set("X-Other", "open");
    EXPECT_EQ(text_of(client().do_(background(), req)), "ok");
    EXPECT_TRUE(has(s.requests[0], "Authorization: secret"));
    EXPECT_FALSE(has(other.requests[0], "Authorization"));
    EXPECT_TRUE(has(other.requests[0], "X-Other: open"));
  });
}

TEST(client_test, malformed_answers_are_refused) {
  run([] {
    const std::pair<std::string, std::error_code> cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", errc::malformed},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
         errc::malformed},
        {"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", errc::malformed},
        {"HTTP/1.1 200 OK\nContent-Length: 0\n\n", errc::malformed},
        {"what?\r\n\r\n", errc::malformed},
        {"HTTP/1.1 200 OK\r\n", errc::ended_early},
        {"HTTP/1.1 200 OK\r\nA: " + std::string(300'000, 'a') + "\r\n\r\n", errc::too_large},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", errc::ended_early},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok0\r\n\r\n", errc::malformed},
    };
    for (const auto& [text, why] : cases) {
      scripted s({{text}});
      auto answer = client().get(background(), s.url());
      std::error_code got = answer ? std::error_code() : answer.error();
      if (answer) {
        auto body = answer->body();
        if (!body) got = body.error();
      }
      EXPECT_EQ(got, why) << text.substr(0, 100);
    }
    scripted s({{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\n" + ok},
                {"HTTP/1.0 200 OK\r\n\r\nuntil the end"}});
    EXPECT_EQ(text_of(client().get(background(), s.url())), "ok");
    EXPECT_EQ(text_of(client().get(background(), s.url())), "until the end");
  });
}

TEST(client_test, the_end_of_the_context_ends_the_exchange) {
  run([] {
    auto entered = make_chan<unit>();
    serving s([&](server& to) {
      to.handle("/silent", [=](request& req, response&) {
        context ctx = req.ctx();
        entered.send(unit{});
        ctx.done().recv();
      });
      to.handle("/half", [=](request& req, response& res) {
        context ctx = req.ctx();
        res.write("half");
        res.flush();
        ctx.done().recv();
      });
    });
    client c;
    auto [ctx, cancel] = with_cancel(background());
    go([&, cancel] {
      entered.recv();
      cancel();
    });
    EXPECT_EQ(c.get(ctx, s.url("/silent")).error(), context_errc::canceled);
    EXPECT_EQ(c.get(ctx, s.url("/silent")).error(), context_errc::canceled);
    client hurried({.timeout = 50ms});
    auto answer = hurried.get(background(), s.url("/half"));
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->body().error(), context_errc::deadline_exceeded);
  });
}

TEST(client_test, https_goes_over_the_connections_that_the_program_makes) {
  run([] {
    scripted s({{ok, ok}});
    std::string url = "https://" + s.authority() + "/";
    EXPECT_EQ(client().get(background(), url).error(), errc::bad_url);
    int dialed = 0;
    client_options options;
    options.dial_tls = [&](const context& ctx, std::string_view to) {
      ++dialed;
      EXPECT_EQ(to, s.authority());
      return net::dial(ctx, "tcp", to);
    };
    client c(options);
    EXPECT_EQ(text_of(c.get(background(), url)), "ok");
    EXPECT_EQ(text_of(c.get(background(), url)), "ok");
    EXPECT_EQ(dialed, 1);
  });
}

TEST(client_test, a_proxy_gets_the_whole_url) {
  run([] {
    scripted proxy({{ok}});
    setenv("http_proxy", proxy.authority().c_str(), 1);
    setenv("no_proxy", "example.net", 1);
    auto answer = client().get(background(), "http://example.org/a?b");
    unsetenv("http_proxy");
    unsetenv("no_proxy");
    ASSERT_TRUE(answer) << answer.error().message();
    EXPECT_TRUE(proxy.requests[0].starts_with(
        "GET http://example.org/a?b HTTP/1.1\r\nHost: example.org\r\n"))
        << proxy.requests[0];
  });
}

TEST(url_test, what_needs_no_proxy) {
  const std::pair<const char*, bool> cases[] = {
      {"*", true},
      {"example.org", true},
      {"org", true},
      {".org", true},
      {".example.org", true},
      {"www.example.org", true},
      {".www.example.org", false},
      {"ample.org", false},
      {"a.b, example.org:80", true},
      {"example.org:81", false},
      {"", false},
  };
  url to = *parse_url("http://www.example.org/");
  for (const auto& [list, excluded] : cases) EXPECT_EQ(is_excluded(to, list), excluded) << list;
}

TEST(url_test, references_are_resolved) {
  url base = *parse_url("HTTP://Host:8080/a/b?c#d");
  EXPECT_EQ(base.text(), "http://Host:8080/a/b?c");
  const std::pair<const char*, const char*> cases[] = {
      {"e", "http://Host:8080/a/e"},
      {"../e", "http://Host:8080/e"},
      {"/e/./f?g", "http://Host:8080/e/f?g"},
      {"?x", "http://Host:8080/a/b?x"},
      {"//other/e", "http://other/e"},
      {"https://s/", "https://s/"},
      {"e?/../f", "http://Host:8080/a/e?/../f"},
  };
  for (const auto& [reference, text] : cases) {
    auto found = resolve_url(base, reference);
    ASSERT_TRUE(found) << reference;
    EXPECT_EQ(found->text(), text);
  }
  for (const char* bad : {"", "x", "ftp://x/", "http://", "http://a b/", "http://u@h/",
                          "http://h:99999/", "http://h/a b", "http://h/\r\nX: y", "http://[::1/"}) {
    EXPECT_FALSE(parse_url(bad)) << bad;
  }
  EXPECT_EQ(parse_url("http://[::1]:80/")->address(), "[::1]:80");
}

}  // namespace
}  // namespace runnel::http
