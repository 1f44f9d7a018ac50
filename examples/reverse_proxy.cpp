// reverse_proxy: one address for several servers, which take turns.
//
//   ./dev run httpd 127.0.0.1:8081 docs              in one terminal, and one with 8082 in another
//   ./dev run reverse_proxy 127.0.0.1:8080 127.0.0.1:8081 127.0.0.1:8082
//
// Shows a handler that is a client, too: bodies pass through it both ways piece by piece, so large
// ones need no memory and slow ones arrive as they are made. The context ties both sides together:
// if the client goes away, or the backend falls silent, the other side is let go. After ^C requests
// in flight are finished first.

#include <runnel/http.h>
#include <runnel/runnel.h>
#include <runnel/signal.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace {

using namespace std::chrono_literals;
namespace http = runnel::http;

constexpr const char* usage = R"(Usage: reverse_proxy ADDRESS BACKEND...

Serves HTTP at ADDRESS with the answers of the backends, in turn. One that cannot be connected to
is passed over. Addresses are of the form 127.0.0.1:8080.
)";

constexpr auto silence_max = 1min;

// Whether a field belongs to one connection (RFC 9110, 7.6.1); `listed`: what Connection names.
bool is_hop_by_hop(std::string_view name, std::string_view listed) {
  constexpr std::string_view always[] = {
      "Connection",       "Expect", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
      "Proxy-Connection", "TE",     "Trailer",    "Transfer-Encoding",  "Upgrade"};
  const auto is_it = [&](std::string_view other) { return http::same_name(name, other); };
  if (std::ranges::any_of(always, is_it)) return true;
  return std::ranges::any_of(std::views::split(listed, ','), [&](auto part) {
    std::string_view word(part.begin(), part.end());
    word.remove_prefix(std::min(word.find_first_not_of(" \t"), word.size()));
    return is_it(word.substr(0, word.find_first_of(" \t")));
  });
}

// Calls copy(name, value) with the fields that are for the other end.
void for_each_end_to_end(const auto& fields, auto copy) {
  std::string listed;
  for (const auto& f : fields) {
    if (http::same_name(f.name, "Connection")) listed.append(f.value).append(",");
  }
  for (const auto& f : fields) {
    if (!is_hop_by_hop(f.name, listed)) copy(f.name, f.value);
  }
}

class proxy {
 public:
  explicit proxy(std::vector<std::string> backends) : backends_(std::move(backends)) {}

  void operator()(http::request& req, http::response& res) {
    auto [ctx, cancel] = runnel::with_cancel(req.ctx());
    const auto silence = runnel::after_func(silence_max, cancel);
    const runnel::defer at_end([&] {
      silence.stop();
      cancel();
    });

    http::client_request onward = head_of(req);
    std::error_code unread;
    if (req.content_length() != 0u) {
      onward.body_length = req.content_length();
      onward.body_source = [&](std::span<char> into) {
        auto n = req.read(into);
        if (!n) unread = n.error();
        silence.reset(silence_max);
        return n;
      };
    }

    auto answer = ask(ctx, onward);
    if (unread) return res.error(unread == std::errc::timed_out ? 408 : 400, unread.message());
    if (!answer) {
      if (ctx.err() && !req.ctx().err()) return res.error(504, "the backend is silent");
      return res.error(502, "no backend answers: " + answer.error().message());
    }
    res.status(answer->status());
    for_each_end_to_end(answer->headers(), [&](std::string_view name, std::string_view value) {
      res.add_header(name, value);
    });
    std::array<char, 32 << 10> piece;
    for (;;) {
      auto n = answer->read(piece);
      if (!n) throw http::abort_handler();  // what was sent must not look like the whole
      if (*n == 0) return;
      silence.reset(silence_max);
      if (res.write({piece.data(), *n}) || res.flush()) return;
    }
  }

 private:
  // The URL is that on any backend.
  static http::client_request head_of(const http::request& req) {
    http::client_request onward{.method = std::string(req.method()),
                                .url = std::string(req.raw_path())};
    if (!req.raw_query().empty()) onward.url.append("?").append(req.raw_query());
    std::string on_the_way;
    for_each_end_to_end(req.headers(), [&](std::string_view name, std::string_view value) {
      if (http::same_name(name, "X-Forwarded-For")) {
        on_the_way.append(value).append(", ");
      } else {
        onward.headers.add(name, value);
      }
    });
    onward.headers.set("X-Forwarded-For", on_the_way + req.remote().host());
    onward.headers.set("X-Forwarded-Host", req.host());
    return onward;
  }

  // The next backend's answer. One that refuses has seen nothing of the request.
  runnel::result<http::client_response> ask(const runnel::context& ctx,
                                            const http::client_request& onward) {
    for (std::size_t tried = 1;; ++tried) {
      http::client_request there = onward;
      there.url.insert(0, "http://" + backends_[next_++ % backends_.size()]);
      auto answer = client_.do_(ctx, std::move(there));
      const bool refused = !answer && answer.error() == std::errc::connection_refused;
      if (!refused || tried == backends_.size()) return answer;
    }
  }

  const std::vector<std::string> backends_;
  std::atomic<std::size_t> next_{0};
  http::client client_{{.max_idle_per_host = 256,
                        .max_idle = 1024,
                        .max_redirects = 0,
                        .proxy_from_environment = false}};
};

int serve(const std::string& address, const std::vector<std::string>& backends) {
  auto listener = runnel::net::listen("tcp", address);
  if (!listener) {
    std::fprintf(stderr, "reverse_proxy: %s\n", listener.error().message().c_str());
    return 1;
  }
  std::printf("http://%s/\n", listener->addr().to_string().c_str());
  std::fflush(stdout);
  proxy through(backends);
  http::server server({.max_body_bytes = std::numeric_limits<std::uint64_t>::max()});
  server.handle("/", [&](http::request& req, http::response& res) { through(req, res); });
  const auto interrupted = runnel::signal::notify_context(runnel::background(), {SIGINT, SIGTERM});
  auto failed = runnel::make_chan<std::error_code>(1);
  runnel::go([&, failed] { failed.send(server.serve(*listener)); });
  std::optional<std::error_code> why;
  if (runnel::select(runnel::recv(failed, why), runnel::recv(interrupted.done())) == 0) {
    std::fprintf(stderr, "reverse_proxy: %s\n", why->message().c_str());
    return 1;
  }
  interrupted.stop();  // a second ^C ends the program at once
  auto [limit, cancel] = runnel::with_timeout(runnel::background(), silence_max);
  return server.shutdown(limit) ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments == std::vector<std::string>{"--help"}) return std::fputs(usage, stdout) < 0;
  if (arguments.size() < 2 ||
      std::ranges::any_of(arguments, [](auto& a) { return a.starts_with('-'); })) {
    std::fprintf(stderr, "reverse_proxy: want an address to listen at, and one backend or more\n%s",
                 usage);
    return 2;
  }
  const std::vector<std::string> backends(arguments.begin() + 1, arguments.end());
  return runnel::run(serve, arguments[0], backends);
}
