// echo_load <port> <connections> <messages>: sends messages of 64 bytes over that many connections, each as soon as the last
// one has come back, and prints the nanoseconds per message. One thread, epoll and nothing else: the same for every server.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

constexpr int message_size = 64;

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

struct connection {
  int fd;
  int received = 0;
};

void send_message(const connection& c) {
  static const char message[message_size] = {'x'};
  if (send(c.fd, message, message_size, MSG_NOSIGNAL) != message_size) fail("send");
}

int connect_to(int port) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) fail("connect");
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

// Exchanges that many messages.
void exchange(int epoll, std::vector<connection>& all, long messages) {
  long sent = 0;
  long done = 0;
  for (connection& c : all) {
    if (sent == messages) break;
    send_message(c);
    ++sent;
  }
  while (done < messages) {
    epoll_event events[128];
    int n = epoll_wait(epoll, events, 128, -1);
    for (int i = 0; i < n; ++i) {
      connection& c = all[events[i].data.u32];
      char buffer[4096];
      ssize_t got = recv(c.fd, buffer, sizeof buffer, 0);
      if (got <= 0) fail("recv");
      c.received += static_cast<int>(got);
      if (c.received < message_size) continue;
      c.received = 0;
      ++done;
      if (sent == messages) continue;
      send_message(c);
      ++sent;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: echo_load <port> <connections> <messages>\n");
    return 2;
  }
  int epoll = epoll_create1(0);
  std::vector<connection> all;
  for (int i = 0; i < std::atoi(argv[2]); ++i) {
    all.push_back({connect_to(std::atoi(argv[1]))});
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = static_cast<std::uint32_t>(i);
    epoll_ctl(epoll, EPOLL_CTL_ADD, all.back().fd, &event);
  }
  long messages = std::atol(argv[3]);
  exchange(epoll, all, messages / 10);
  auto begin = std::chrono::steady_clock::now();
  exchange(epoll, all, messages);
  std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - begin;
  std::printf("%.1f\n", taken.count() / static_cast<double>(messages));
}
