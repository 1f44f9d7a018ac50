// client URL: what tests/peers/goserver answers must come as it was sent. Prints what is wrong; 0: nothing.
// client URL ROOTS: the same over TLS, where it must be by HTTP/2.
// client get URL ROOTS: one answer, to standard output.
#include <runnel/http.h>
#if RUNNEL_TLS
#include <runnel/net/tls.h>
#endif
#include <runnel/runnel.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <string>

namespace {

std::atomic<int> wrong{0};

void expect(bool right, const char* what, const std::string& detail = {}) {
  if (right) return;
  ++wrong;
  std::printf("wrong: %s %s\n", what, detail.c_str());
}

void exchange(const runnel::http::client& c, const std::string& base, int number) {
  bool second = base.starts_with("https");
  auto answer = c.get(runnel::background(), base + "/hello?n=" + std::to_string(number));
  if (!answer) return expect(false, "get", answer.error().message());
  expect(answer->header("X-Proto") == (second ? "HTTP/2.0" : "HTTP/1.1"), "version");
  expect(answer->body().value_or("") == "hello " + std::to_string(number), "hello");

  runnel::http::client_request upload{.method = "POST", .url = base + "/echo"};
  std::size_t left = 100'000;
  upload.body_source = [&](std::span<char> into) -> runnel::result<std::size_t> {
    std::size_t n = std::min({left, into.size(), std::size_t{777}});
    std::ranges::fill(into.first(n), static_cast<char>('a' + number % 26));
    left -= n;
    return n;
  };
  answer = c.do_(runnel::background(), std::move(upload));
  if (!answer) return expect(false, "echo", answer.error().message());
  expect((answer->header("Transfer-Encoding") == "chunked") != second, "chunked");
  expect(answer->body().value_or("") == std::string(100'000, static_cast<char>('a' + number % 26)),
         "echoed");
  expect(answer->trailers().get("X-Bytes") == "100000", "trailer");

  answer = c.post(runnel::background(), base + "/moved", "text/plain", "body");
  if (!answer) return expect(false, "moved", answer.error().message());
  expect(answer->body().value_or("") == "hello ", "redirected");
}

runnel::http::client client_trusting([[maybe_unused]] const std::string& roots) {
  runnel::http::client_options options;
#if RUNNEL_TLS
  options.dial_tls = [roots](const runnel::context& ctx, std::string_view to) {
    runnel::net::tls_config config;
    config.system_roots = false;
    config.roots_file = roots;
    config.protocols = {"h2", "http/1.1"};
    return runnel::net::dial_tls(ctx, "tcp", to, config);
  };
#endif
  return runnel::http::client(options);
}

int get(const std::string& url, const std::string& roots) {
  auto answer = client_trusting(roots).get(runnel::background(), url);
  if (!answer) {
    std::printf("error: %s\n", answer.error().message().c_str());
    return 1;
  }
  std::printf("%d %s\n", answer->status(), answer->body().value_or("no body").c_str());
  return 0;
}

int exchanges(const std::string& base, const std::string& roots) {
  runnel::http::client c = client_trusting(roots);
  runnel::wait_group all;
  for (int i = 0; i < 50; ++i) all.go([&c, &base, i] { exchange(c, base, i); });
  all.wait();
  return wrong == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::string first = argv[1];
  if (first == "get") return runnel::run(get, std::string(argv[2]), std::string(argv[3]));
  return runnel::run(exchanges, first, std::string(argc > 2 ? argv[2] : ""));
}
