// tls_load <port> <connections at once> <handshakes>: connects, shakes hands by TLS 1.3 without resuming a session, waits until
// the server has closed the connection, and connects again; prints the nanoseconds per handshake. As many threads as
// connections at once, OpenSSL and nothing else: the same for every server.
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  ERR_print_errors_fp(stderr);
  std::_Exit(1);
}

void handshake(SSL_CTX* how, int port) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) fail("connect");
  SSL* tls = SSL_new(how);
  SSL_set_fd(tls, fd);
  if (SSL_connect(tls) != 1) fail("SSL_connect");
  char byte;
  if (SSL_read(tls, &byte, 1) > 0) fail("SSL_read");
  SSL_free(tls);
  close(fd);
}

void run(SSL_CTX* how, int port, int at_once, long handshakes) {
  std::atomic<long> left = handshakes;
  std::vector<std::thread> threads;
  for (int i = 0; i < at_once; ++i) {
    threads.emplace_back([&] {
      while (left.fetch_sub(1) > 0) handshake(how, port);
    });
  }
  for (std::thread& t : threads) t.join();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: tls_load <port> <connections at once> <handshakes>\n");
    return 2;
  }
  SSL_CTX* how = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(how, TLS1_3_VERSION);
  const int port = std::atoi(argv[1]);
  const int at_once = std::atoi(argv[2]);
  const long handshakes = std::atol(argv[3]);
  run(how, port, at_once, handshakes / 10 + 1);
  const auto begin = std::chrono::steady_clock::now();
  run(how, port, at_once, handshakes);
  const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - begin;
  std::printf("%.1f\n", taken.count() / static_cast<double>(handshakes));
}
