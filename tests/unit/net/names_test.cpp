// Names: looked up without keeping a P, and several addresses tried one after another. The C library's getaddrinfo is
// replaced here for names that end in ".test".

#include <arpa/inet.h>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "net/dial.h"
#include "runnel/net.h"
#include "runnel/runnel.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;

std::atomic<int> lookups_waiting{0};
std::atomic<bool> lookups_may_end{true};

// Numeric addresses that "two.test" has, in this order.
std::mutex two_lock;
std::vector<std::string> two;

}  // namespace

extern "C" int getaddrinfo(const char* host, const char* service, const addrinfo* hints,
                           addrinfo** found) {
  using function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  static const auto real = reinterpret_cast<function>(dlsym(RTLD_NEXT, "getaddrinfo"));
  std::string name = host != nullptr ? host : "";
  if (!name.ends_with(".test") || (hints->ai_flags & AI_NUMERICHOST) != 0) {
    return real(host, service, hints, found);
  }
  if (name == "slow.test") {
    ++lookups_waiting;
    while (!lookups_may_end) poll(nullptr, 0, 1);
    --lookups_waiting;
    return real("127.0.0.1", service, hints, found);
  }
  if (name == "try-again.test") return EAI_AGAIN;
  if (name != "two.test") return EAI_NONAME;
  std::lock_guard hold(two_lock);
  addrinfo** end = found;
  for (const std::string& one : two) {
    if (int error = real(one.c_str(), service, hints, end)) return error;
    while (*end != nullptr) end = &(*end)->ai_next;
  }
  return 0;
}

namespace runnel::net {
namespace {

// A port of 127.0.0.x that answers nobody: its backlog is full.
class black_hole {
 public:
  explicit black_hole(const char* host, std::uint16_t port = 0) {
    listening_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    setsockopt(listening_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    inet_pton(AF_INET, host, &at.sin_addr);
    auto* any = reinterpret_cast<sockaddr*>(&at);
    EXPECT_EQ(bind(listening_, any, sizeof at), 0) << std::strerror(errno);
    EXPECT_EQ(::listen(listening_, 0), 0);
    socklen_t size = sizeof at;
    getsockname(listening_, any, &size);
    this->port = ntohs(at.sin_port);
    address = std::string(host) + ":" + std::to_string(this->port);
    // Full when a connection is not made at once.
    for (bool full = false; !full && filling_.size() < 50;) {
      int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      filling_.push_back(fd);
      if (connect(fd, any, sizeof at) == 0) continue;
      pollfd one{fd, POLLOUT, 0};
      full = poll(&one, 1, 50) == 0;
    }
  }
  ~black_hole() {
    for (int fd : filling_) close(fd);
    close(listening_);
  }
  std::uint16_t port = 0;
  std::string address;

 private:
  int listening_;
  std::vector<int> filling_;
};

void set_two(std::vector<std::string> addresses) {
  std::lock_guard hold(two_lock);
  two = std::move(addresses);
}

TEST(names, are_looked_up_without_keeping_a_p) {
  run(options{.max_procs = 1}, [] {
    lookups_may_end = false;
    auto on = listen("tcp", "127.0.0.1:0");
    std::string at = "slow.test:" + std::to_string(on->addr().port());
    wait_group wg;
    wg.go([&] {
      auto c = dial("tcp", at);
      EXPECT_TRUE(c) << c.error().message();
    });
    EXPECT_TRUE(test::eventually([] { return lookups_waiting == 1; }));
    // The only P goes on with timers and goroutines meanwhile.
    int turns = 0;
    wg.go([&] {
      for (; turns < 3; ++turns) sleep(1ms);
      lookups_may_end = true;
    });
    wg.wait();
    EXPECT_EQ(turns, 3);
  });
}

TEST(names, are_given_up_when_the_context_ends) {
  run(options{.max_procs = 1}, [] {
    lookups_may_end = false;
    auto [ctx, stop] = with_timeout(background(), 5ms);
    auto c = dial(ctx, "tcp", "slow.test:80");
    ASSERT_FALSE(c);
    EXPECT_EQ(c.error(), errc::timed_out);
    EXPECT_EQ(c.error().message(), "dial tcp slow.test:80: i/o timeout");
    lookups_may_end = true;
    EXPECT_TRUE(test::eventually([] { return lookups_waiting == 0; }));
  });
}

TEST(names, that_do_not_exist_or_cannot_be_looked_up_are_different_errors) {
  run([] {
    auto c = dial("tcp", "nobody.test:80");
    ASSERT_FALSE(c);
    EXPECT_EQ(c.error(), errc::host_not_found);
    EXPECT_EQ(c.error().message(), "dial tcp nobody.test:80: no such host");
    c = dial("tcp", "try-again.test:80");
    ASSERT_FALSE(c);
    EXPECT_EQ(c.error(), errc::lookup_failed);
    auto found = resolve(background(), "tcp", "nobody.test:80");
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().message(), "lookup nobody.test:80: no such host");
  });
}

TEST(dialing, goes_on_with_the_next_address_when_the_first_does_not_answer) {
  run([] {
    black_hole hole("127.0.0.2");
    auto on = listen("tcp", "127.0.0.3:" + std::to_string(hole.port));
    ASSERT_TRUE(on) << on.error().message();
    set_two({"127.0.0.2", "127.0.0.3"});
    auto begin = test::clock::now();
    auto c = dial("tcp", "two.test:" + std::to_string(hole.port));
    auto took = test::clock::now() - begin;
    ASSERT_TRUE(c) << c.error().message();
    EXPECT_EQ(c->remote(), on->addr());
    EXPECT_GE(took, 240ms);
    EXPECT_LT(took, 20s);
  });
}

TEST(dialing, goes_on_at_once_when_the_first_refuses) {
  run([] {
    auto on = listen("tcp", "127.0.0.3:0");
    set_two({"127.0.0.2", "127.0.0.3"});
    auto c = dial("tcp", "two.test:" + std::to_string(on->addr().port()));
    ASSERT_TRUE(c) << c.error().message();
    EXPECT_EQ(c->remote(), on->addr());
  });
}

TEST(dialing, of_two_versions_of_ip_falls_back_to_the_other) {
  int six = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (six < 0) GTEST_SKIP() << "this machine has no IPv6";
  close(six);
  run([] {
    auto on = listen("tcp4", "127.0.0.1:0");
    set_two({"::1", "127.0.0.1"});
    auto c = dial("tcp", "two.test:" + std::to_string(on->addr().port()));
    ASSERT_TRUE(c) << c.error().message();
    EXPECT_EQ(c->remote(), on->addr());
  });
}

TEST(dialing, tells_the_error_of_the_first_address) {
  run([] {
    auto on = listen("tcp", "127.0.0.1:0");
    std::uint16_t port = on->addr().port();
    on->close();
    set_two({"127.0.0.2", "255.255.255.255"});
    auto c = dial("tcp", "two.test:" + std::to_string(port));
    ASSERT_FALSE(c);
    EXPECT_EQ(c.error(), std::errc::connection_refused) << c.error().message();
    set_two({"255.255.255.255", "127.0.0.2"});
    c = dial("tcp", "two.test:" + std::to_string(port));
    ASSERT_FALSE(c);
    EXPECT_NE(c.error(), std::errc::connection_refused) << c.error().message();
  });
}

TEST(dialing, ends_with_its_context) {
  run([] {
    black_hole hole("127.0.0.2");
    for (bool one : {true, false}) {
      set_two({"127.0.0.2", "127.0.0.2"});
      std::string at = one ? hole.address : "two.test:" + std::to_string(hole.port);
      auto [late, stop] = with_timeout(background(), 10ms);
      auto c = dial(late, "tcp", at);
      ASSERT_FALSE(c);
      EXPECT_EQ(c.error(), errc::timed_out);
      EXPECT_EQ(c.error().message(), "dial tcp " + at + ": i/o timeout");
      auto [ctx, cancel] = with_cancel(background());
      go([cancel] {
        sleep(5ms);
        cancel();
      });
      c = dial(ctx, "tcp", at);
      ASSERT_FALSE(c);
      EXPECT_EQ(c.error(), errc::canceled);
      EXPECT_EQ(c.error(), std::errc::operation_canceled);
      // One that has ended before.
      EXPECT_EQ(dial(ctx, "tcp", at).error(), errc::canceled);
    }
  });
}

TEST(dialing, by_a_plain_thread_tries_the_addresses_in_turn) {
  auto on = listen("tcp", "127.0.0.3:0");
  set_two({"127.0.0.2", "127.0.0.3"});
  auto c = dial("tcp", "two.test:" + std::to_string(on->addr().port()));
  ASSERT_TRUE(c) << c.error().message();
  EXPECT_EQ(c->remote(), on->addr());
}

TEST(dialing, leaves_no_socket_of_an_attempt_behind) {
  run([] {
    black_hole hole("127.0.0.2");
    auto on = listen("tcp", "127.0.0.3:" + std::to_string(hole.port));
    set_two({"127.0.0.2", "127.0.0.3"});
    auto before = num_goroutine();
    {
      auto c = dial("tcp", "two.test:" + std::to_string(hole.port));
    }
    EXPECT_TRUE(test::eventually([&] { return num_goroutine() == before; }));
  });
}

}  // namespace
}  // namespace runnel::net
