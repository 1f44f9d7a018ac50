// Files, ranges, conditions, and compression.

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "peer.h"

namespace runnel::http {
namespace {

class files_test : public testing::Test {
 protected:
  files_test() {
    std::string name = std::filesystem::temp_directory_path() / "runnel-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) panic("mkdtemp");
    root_ = name;
    std::filesystem::create_directories(root_ / "www/sub/deep");
    write("www/a.txt", "0123456789");
    write("www/index.html", "<p>index");
    write("www/sub/index.html", "<p>sub");
    write("www/.hidden", "hidden");
    write("www/a b.json", "{}");
    write("www/large.txt", std::string(1 << 20, 'x'));
    write("secret", "secret");
    std::filesystem::create_symlink("../secret", root_ / "www/escape");
    std::filesystem::create_symlink("a.txt", root_ / "www/link.txt");
    std::filesystem::create_directory_symlink("..", root_ / "www/up");
  }
  ~files_test() override { std::filesystem::remove_all(root_); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(root_ / name, std::ios::binary) << text;
  }
  // Of what is asked in one go, the connection then being closed.
  std::string ask(std::string_view path, std::string_view fields = {},
                  std::string_view method = "GET") const {
    serving s([this](server& to) {
      to.use(gzip);
      to.handle("/", file_server(root_ / "www"));
      to.handle("/s/{path...}", file_server(root_ / "www"));
      to.handle("/one",
                [this](request& req, response& res) { serve_file(req, res, root_ / "secret"); });
      to.handle("/streamed", [](request&, response& res) {
        res.header("Content-Type", "text/plain");
        res.write(std::string(600, 'a'));
        res.flush();
        res.write(std::string(600, 'b'));
      });
    });
    std::string text = std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n" +
                       std::string(fields) + "Connection: close\r\n\r\n";
    return answers_to(s, text);
  }

  std::filesystem::path root_;
};

std::string field_of(std::string_view answer, const std::string& name) {
  std::size_t at = answer.find("\r\n" + name + ": ");
  if (at == std::string_view::npos) return {};
  at += name.size() + 4;
  return std::string(answer.substr(at, answer.find("\r\n", at) - at));
}

TEST_F(files_test, a_file_is_sent_with_what_is_known_of_it) {
  run([&] {
    std::string answer = ask("/a.txt");
    EXPECT_EQ(status_of(answer), 200);
    EXPECT_EQ(body_of(answer), "0123456789");
    EXPECT_EQ(field_of(answer, "Content-Type"), "text/plain; charset=utf-8");
    EXPECT_EQ(field_of(answer, "Content-Length"), "10");
    EXPECT_EQ(field_of(answer, "Last-Modified").size(), 29u);
    EXPECT_EQ(ask("/s/a.txt").substr(0, 15), "HTTP/1.1 200 OK");
    EXPECT_EQ(body_of(ask("/link.txt")), "0123456789");
    EXPECT_EQ(field_of(ask("/a%20b.json"), "Content-Type"), "application/json");
    EXPECT_EQ(body_of(ask("/large.txt")).size(), std::size_t{1} << 20);
    EXPECT_EQ(body_of(ask("/one")), "secret");
    answer = ask("/a.txt", {}, "HEAD");
    EXPECT_EQ(field_of(answer, "Content-Length"), "10");
    EXPECT_EQ(body_of(answer), "");
    EXPECT_EQ(status_of(ask("/a.txt", {}, "DELETE")), 405);
  });
}

TEST_F(files_test, directories_have_an_index_behind_their_slash) {
  run([&] {
    EXPECT_EQ(body_of(ask("/")), "<p>index");
    EXPECT_EQ(body_of(ask("/sub/")), "<p>sub");
    std::string answer = ask("/sub?q=1");
    EXPECT_EQ(status_of(answer), 301);
    EXPECT_EQ(field_of(answer, "Location"), "./sub/?q=1");
    EXPECT_EQ(status_of(ask("/sub/deep/")), 404);
    EXPECT_EQ(status_of(ask("/a.txt/")), 404);
  });
}

TEST_F(files_test, nothing_outside_of_the_directory_is_served) {
  run([&] {
    for (const char* path : {"/escape", "/up/secret", "/s/..%2fsecret", "/%2e%2e/secret",
                             "/s/%2e%2e%2fsecret", "/..%2fsecret", "/.hidden", "/sub/../.hidden",
                             "/a.txt%00.json", "/s//etc/passwd", "/s/%2fetc%2fpasswd"}) {
      std::string answer = ask(path);
      EXPECT_NE(status_of(answer), 200) << path;
      EXPECT_FALSE(has(answer, "secret\r\n") || has(body_of(answer), "secret")) << path;
    }
  });
}

TEST_F(files_test, a_range_is_sent_alone) {
  run([&] {
    struct {
      const char* range;
      int status;
      const char* body;
      const char* content_range;
    } cases[] = {
        {"bytes=2-4", 206, "234", "bytes 2-4/10"},
        {"bytes=7-", 206, "789", "bytes 7-9/10"},
        {"bytes=-2", 206, "89", "bytes 8-9/10"},
        {"bytes=8-100", 206, "89", "bytes 8-9/10"},
        {"bytes=-100", 206, "0123456789", "bytes 0-9/10"},
        {"bytes=10-", 416, "416 Range Not Satisfiable\n", "bytes */10"},
        {"bytes=-0", 416, "416 Range Not Satisfiable\n", "bytes */10"},
        {"bytes=4-2", 200, "0123456789", ""},
        {"bytes=x", 200, "0123456789", ""},
        {"bytes=0-1,3-4", 200, "0123456789", ""},
        {"lines=0-1", 200, "0123456789", ""},
    };
    for (const auto& c : cases) {
      std::string answer = ask("/a.txt", "Range: " + std::string(c.range) + "\r\n");
      EXPECT_EQ(status_of(answer), c.status) << c.range;
      EXPECT_EQ(body_of(answer), c.body) << c.range;
      EXPECT_EQ(field_of(answer, "Content-Range"), c.content_range) << c.range;
    }
    EXPECT_EQ(status_of(ask("/a.txt", "Range: bytes=1-2\r\nIf-Range: \"other\"\r\n")), 200);
  });
}

TEST_F(files_test, what_has_not_changed_is_not_sent) {
  run([&] {
    std::string first = ask("/a.txt");
    std::string etag = field_of(first, "ETag");
    std::string modified = field_of(first, "Last-Modified");
    EXPECT_EQ(status_of(ask("/a.txt", "If-None-Match: \"x\", " + etag + "\r\n")), 304);
    EXPECT_EQ(status_of(ask("/a.txt", "If-None-Match: W/" + etag + "\r\n")), 304);
    EXPECT_EQ(status_of(ask("/a.txt", "If-None-Match: *\r\n")), 304);
    EXPECT_EQ(status_of(ask("/a.txt", "If-None-Match: \"x\"\r\n")), 200);
    EXPECT_EQ(status_of(ask("/a.txt", "If-Modified-Since: " + modified + "\r\n")), 304);
    EXPECT_EQ(
        status_of(ask("/a.txt", "If-None-Match: \"x\"\r\nIf-Modified-Since: " + modified + "\r\n")),
        200);
    EXPECT_EQ(status_of(ask("/a.txt", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n")),
              200);
    EXPECT_EQ(status_of(ask("/a.txt", "Range: bytes=1-2\r\nIf-Range: " + etag + "\r\n")), 206);
    std::string answer = ask("/a.txt", "If-None-Match: *\r\n");
    EXPECT_EQ(body_of(answer), "");
    EXPECT_FALSE(has(answer, "Content-Length")) << answer;
  });
}

TEST_F(files_test, text_is_compressed_for_who_accepts_it) {
#if !defined(RUNNEL_ZLIB)
  GTEST_SKIP() << "built without zlib";
#endif
  run([&] {
    const std::string accepts = "Accept-Encoding: br, gzip;q=0.5\r\n";
    std::string answer = ask("/large.txt", accepts);
    EXPECT_EQ(field_of(answer, "Content-Encoding"), "gzip");
    EXPECT_EQ(field_of(answer, "Vary"), "Accept-Encoding");
    EXPECT_TRUE(field_of(answer, "ETag").starts_with("W/"));
    EXPECT_LT(answer.size(), 5000u);
    EXPECT_TRUE(answer.ends_with("\r\n0\r\n\r\n"));
    EXPECT_EQ(field_of(ask("/streamed", accepts), "Content-Encoding"), "gzip");
    // Not what is small, asked for in part, or not accepted.
    EXPECT_EQ(body_of(ask("/a.txt", "Accept-Encoding: gzip;q=0\r\n")), "0123456789");
    EXPECT_EQ(field_of(ask("/large.txt", "Accept-Encoding: gzip;q=0\r\n"), "Content-Encoding"), "");
    EXPECT_EQ(body_of(ask("/large.txt", accepts + "Range: bytes=0-2\r\n")), "xxx");
  });
}

}  // namespace
}  // namespace runnel::http
