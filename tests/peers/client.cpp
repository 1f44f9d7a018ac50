// client URL: what tests/peers/goserver answers must come as it was sent. Prints what is wrong; 0: nothing.
#include <runnel/http.h>
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
  auto answer = c.get(runnel::background(), base + "/hello?n=" + std::to_string(number));
  if (!answer) return expect(false, "get", answer.error().message());
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
  expect(answer->header("Transfer-Encoding") == "chunked", "chunked");
  expect(answer->body().value_or("") == std::string(100'000, static_cast<char>('a' + number % 26)),
         "echoed");
  expect(answer->trailers().get("X-Bytes") == "100000", "trailer");

  answer = c.post(runnel::background(), base + "/moved", "text/plain", "body");
  if (!answer) return expect(false, "moved", answer.error().message());
  expect(answer->body().value_or("") == "hello ", "redirected");
}

}  // namespace

int main(int, char** argv) {
  return runnel::run([base = std::string(argv[1])] {
    runnel::http::client c;
    runnel::wait_group all;
    for (int i = 0; i < 50; ++i) all.go([&c, &base, i] { exchange(c, base, i); });
    all.wait();
    return wrong == 0 ? 0 : 1;
  });
}
