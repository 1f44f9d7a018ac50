// Patterns: Go's documented rules, and its examples.

#include <gtest/gtest.h>

#include "net/http/access.h"
#include "net/http/head_parser.h"
#include "net/http/pattern.h"
#include "runnel/http.h"
#include "runnel/panic.h"

namespace runnel::http {
namespace {

struct no_source final : detail::request_source {
  result<std::size_t> read_body(std::span<char>) override { return 0; }
  std::optional<std::string_view> body_at_hand() override { return ""; }
  const headers& trailers() const override { return none; }
  context request_context() override { return {}; }
  net::endpoint remote() const override { return {}; }
  headers none;
};

struct no_sink final : detail::response_sink {
  std::error_code send_head(const response&, std::optional<std::uint64_t>, std::string_view,
                            bool) override {
    return {};
  }
  std::error_code send_data(std::string_view) override { return {}; }
  std::error_code send_file(int, std::uint64_t, std::uint64_t) override { return {}; }
  std::error_code send_end(const headers&) override { return {}; }
};

// The pattern that is chosen with the values of its wildcards; or the status, with Location or Allow.
std::string choose(const mux& m, std::string_view method, std::string_view host,
                   std::string_view target) {
  no_source source;
  no_sink sink;
  message_head head;
  head.method = method;
  head.target = target;
  head.host = host;
  request req;
  response res;
  response_access::reset(res, &sink);
  if (!request_access::describe(req, head, &source)) return "malformed";
  m(req, res);
  if (res.status() == 200) return std::string(req.pattern()) + std::string(res.header("Values"));
  std::string text = std::to_string(res.status());
  for (const char* name : {"Location", "Allow"}) {
    if (!res.header(name).empty()) text += " " + std::string(res.header(name));
  }
  return text;
}

mux mux_of(std::initializer_list<const char*> patterns) {
  mux m;
  for (std::string_view text : patterns) {
    pattern p = parse_pattern(text);
    m.handle(text, [p](request& req, response& res) {
      std::string values;
      for (const auto& s : p.segments) {
        if (s.wild && !s.text.empty()) values += " " + s.text + "=" + req.path_value(s.text);
      }
      if (!values.empty()) res.header("Values", values);
    });
  }
  return m;
}

TEST(mux_test, the_most_specific_pattern_wins) {
  mux m = mux_of({"/", "/images/", "/images/thumbnails/", "GET /items/{id}", "POST /items/{id}",
                  "/b/{bucket}/o/{objectname...}", "/exact/{$}", "example.com/",
                  "example.com/host/{x}"});
  struct {
    const char* method;
    const char* host;
    const char* target;
    const char* chosen;
  } cases[] = {
      {"GET", "x", "/", "/"},
      {"HEAD", "x", "/", "/"},
      {"PUT", "x", "/", "/"},
      {"PUT", "x", "/images/a/b", "/images/"},
      {"PUT", "x", "/images/thumbnails/a", "/images/thumbnails/"},
      {"GET", "x", "/items/7", "GET /items/{id} id=7"},
      {"HEAD", "x", "/items/7", "GET /items/{id} id=7"},
      {"POST", "x", "/items/a%2Fb", "POST /items/{id} id=a/b"},
      {"GET", "x", "/items/7/more", "/"},
      {"PUT", "x", "/b/1/o/2/3", "/b/{bucket}/o/{objectname...} bucket=1 objectname=2/3"},
      {"PUT", "x", "/b/1/o/", "/b/{bucket}/o/{objectname...} bucket=1 objectname="},
      {"PUT", "x", "/exact/", "/exact/{$}"},
      {"PUT", "x", "/exact/more", "/"},
      {"PUT", "example.com", "/exact/", "example.com/"},
      {"PUT", "example.com:8080", "/host/a", "example.com/host/{x} x=a"},
      {"PUT", "EXAMPLE.com", "/host/a?q=1", "example.com/host/{x} x=a"},
      {"PUT", "www.example.com", "/host/a", "/"},
      {"PUT", "x", "/%69mages/a", "/images/"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(choose(m, c.method, c.host, c.target), c.chosen)
        << c.method << " " << c.host << c.target;
  }
}

TEST(mux_test, paths_that_are_not_clean_and_subtrees_without_their_slash_are_redirected) {
  mux m = mux_of({"/", "/tree/", "GET /files/{path...}", "/leaf"});
  EXPECT_EQ(choose(m, "GET", "x", "/a/../tree//b"), "301 /tree/b");
  EXPECT_EQ(choose(m, "GET", "x", "/./leaf/?q=1"), "301 /leaf/?q=1");
  EXPECT_EQ(choose(m, "GET", "x", "//leaf"), "301 /leaf");
  EXPECT_EQ(choose(m, "GET", "x", "/../../leaf"), "301 /leaf");
  EXPECT_EQ(choose(m, "GET", "x", "/tree/a/.."), "301 /tree/");
  EXPECT_EQ(choose(m, "GET", "x", "/tree?q=1"), "301 /tree/?q=1");
  EXPECT_EQ(choose(m, "GET", "x", "/files"), "301 /files/");
  EXPECT_EQ(choose(m, "GET", "x", "/...leaf"), "/");
  EXPECT_EQ(choose(m, "GET", "x", "/leaf"), "/leaf");
}

TEST(mux_test, a_method_without_a_pattern_is_told_the_others) {
  mux m = mux_of({"GET /a", "POST /a", "PUT /{x}/b", "DELETE example.com/a"});
  EXPECT_EQ(choose(m, "PUT", "x", "/a"), "405 GET, HEAD, POST");
  EXPECT_EQ(choose(m, "PUT", "example.com", "/a"), "405 DELETE, GET, HEAD, POST");
  EXPECT_EQ(choose(m, "GET", "x", "/a/b"), "405 PUT");
  EXPECT_EQ(choose(m, "GET", "x", "/nothing"), "404");
  EXPECT_EQ(choose(m, "OPTIONS", "x", "*"), "404");
}

TEST(mux_test, a_pattern_that_conflicts_with_another_panics) {
  struct {
    const char* first;
    const char* second;
    bool conflict;
  } cases[] = {
      {"/a", "/a", true},
      {"/{x}", "/{y}", true},
      {"/posts/{id}", "/{resource}/latest", true},
      {"GET /a/{x}", "/a/b", true},
      {"GET /", "/index.html", true},
      {"/a/", "/a/{rest...}", true},
      {"GET /a", "HEAD /a", false},
      {"GET /posts/{id}", "POST /{x}/latest", false},
      {"/posts/{id}", "/posts/latest", false},
      {"/a/{$}", "/a/", false},
      {"/a/{$}", "/a/{x}", false},
      {"/a/{x}/b", "/a/", false},
      {"/a/{x}", "/a/{x}/", false},
      {"example.com/{x}", "/a", false},
      {"example.com/a", "EXAMPLE.com/a", true},
      {"/b/{bucket}/{verb}/default", "/b/{bucket}/o/{noun}", true},
  };
  for (const auto& c : cases) {
    for (bool swapped : {false, true}) {
      mux m = mux_of({swapped ? c.second : c.first});
      auto again = [&] { m.handle(swapped ? c.first : c.second, [](request&, response&) {}); };
      if (c.conflict) {
        EXPECT_THROW(again(), runtime_error) << c.first << " " << c.second;
      } else {
        EXPECT_NO_THROW(again()) << c.first << " " << c.second;
      }
    }
  }
}

TEST(mux_test, a_malformed_pattern_panics) {
  for (const char* text :
       {"", "a", "GET", "GET  ", "/{", "/{}", "/{1a}", "/a{b}", "/{a}b", "/{a...}/b", "/{$}/b",
        "/{a}/{a}", "/a//b", "/a/../b", "G@T /", "{h}/", "/%zz", "h:/x y"}) {
    EXPECT_THROW(mux_of({text}), runtime_error) << text;
  }
}

}  // namespace
}  // namespace runnel::http
