// connect_load <port> <connections at once> <connections>: connects, waits until the server has closed the connection, closes it
// and connects again; prints the nanoseconds per connection. One thread, epoll and nothing else: the same for every server.
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace {

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

class load {
 public:
  explicit load(int port) : epoll_(epoll_create1(0)) {
    to_.sin_family = AF_INET;
    to_.sin_port = htons(static_cast<std::uint16_t>(port));
    to_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }

  void run(int at_once, long connections) {
    long begun = 0;
    for (; begun < at_once && begun < connections; ++begun) connect_once();
    for (long ended = 0; ended < connections;) {
      epoll_event events[128];
      const int n = epoll_wait(epoll_, events, 128, -1);
      for (int i = 0; i < n; ++i) {
        char byte;
        const ssize_t got = recv(events[i].data.fd, &byte, 1, 0);
        if (got < 0 && errno == EAGAIN) continue;  // connected, and not closed yet
        if (got != 0) fail("recv");
        close(events[i].data.fd);
        ++ended;
        if (begun < connections) {
          connect_once();
          ++begun;
        }
      }
    }
  }

 private:
  void connect_once() {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0) fail("socket");
    if (connect(fd, reinterpret_cast<sockaddr*>(&to_), sizeof to_) != 0 && errno != EINPROGRESS) {
      fail("connect");
    }
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    event.data.fd = fd;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }

  int epoll_;
  sockaddr_in to_{};
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: connect_load <port> <connections at once> <connections>\n");
    return 2;
  }
  load l(std::atoi(argv[1]));
  const int at_once = std::atoi(argv[2]);
  const long connections = std::atol(argv[3]);
  l.run(at_once, connections / 10);
  const auto begin = std::chrono::steady_clock::now();
  l.run(at_once, connections);
  const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - begin;
  std::printf("%.1f\n", taken.count() / static_cast<double>(connections));
}
