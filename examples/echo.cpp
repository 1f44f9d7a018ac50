// echo: sends back whatever it receives.
//
//   ./dev run echo 127.0.0.1:7000
//   nc 127.0.0.1 7000                  in another terminal, in as many as you like
//
// Shows the shape of every server: a loop that accepts, a goroutine to each connection, reads and
// writes that look as if they blocked. Waiting costs no thread: ten thousand silent clients are ten
// thousand parked goroutines. Errors are values that say what was tried, and at which address. After
// ^C nobody is accepted, and who is connected is served to the end; a second one ends the program.

#include <runnel/net.h>
#include <runnel/runnel.h>
#include <runnel/signal.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>
#include <system_error>

namespace {

using namespace std::chrono_literals;
namespace net = runnel::net;

constexpr const char* usage = R"(Usage: echo ADDRESS

Listens there and sends back what it receives, until it is interrupted.

  ADDRESS   127.0.0.1:7000   [::1]:7000   :7000 (every interface)   127.0.0.1:0 (any port)
            /tmp/echo.sock (a Unix socket)
)";

constexpr auto silence_max = 5min;

struct outcome {
  std::size_t bytes = 0;
  std::error_code why;  // none: the client has said all that it wanted to
};

outcome echo(const net::conn& client) {
  outcome so_far;
  std::array<std::byte, 16 << 10> buffer;
  for (;;) {
    client.set_deadline(std::chrono::steady_clock::now() + silence_max);
    auto received = client.read(buffer);
    if (!received) return {so_far.bytes, received.error()};
    if (*received == 0) return so_far;
    auto sent = client.write(std::span(buffer).first(*received));
    if (!sent) return {so_far.bytes, sent.error()};
    so_far.bytes += *sent;
  }
}

// Until the listener is closed, and all clients have what they want.
std::error_code serve(const net::listener& listener) {
  runnel::wait_group clients;
  for (std::size_t number = 1;; ++number) {
    auto client = listener.accept();
    if (!client) {
      clients.wait();
      return client.error();
    }
    clients.go([number, client = std::move(*client)] {
      std::fprintf(stderr, "%zu: connected\n", number);
      const outcome end = echo(client);
      std::fprintf(stderr, "%zu: %zu bytes, %s\n", number, end.bytes,
                   end.why ? end.why.message().c_str() : "closed");
    });  // the last handle of the connection is gone, and so it is closed
  }
}

int listen_and_serve(const std::string& address) {
  const bool is_path = address.starts_with('/') || address.starts_with('@');
  auto listener = net::listen(is_path ? "unix" : "tcp", address);
  if (!listener) {
    std::fprintf(stderr, "echo: %s\n", listener.error().message().c_str());
    return 1;
  }
  std::printf("%s\n", listener->addr().to_string().c_str());
  std::fflush(stdout);
  const auto interrupted = runnel::signal::notify_context(runnel::background(), {SIGINT, SIGTERM});
  runnel::after_func(interrupted, [interrupted, listener = *listener] {
    interrupted.stop();
    listener.close();
  });
  const std::error_code why = serve(*listener);
  if (why == net::errc::closed) return 0;
  std::fprintf(stderr, "echo: %s\n", why.message().c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view first = argc == 2 ? argv[1] : "";
  if (first == "--help" || first == "-h") return std::fputs(usage, stdout) < 0;
  if (argc != 2 || first.starts_with('-')) {
    std::fprintf(stderr, "echo: want one address to listen at\n%s", usage);
    return 2;
  }
  return runnel::run(listen_and_serve, std::string(first));
}
