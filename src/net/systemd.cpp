#include "runnel/net/systemd.h"

#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#include "net/address.h"
#include "net/errors.h"
#include "net/socket.h"

namespace runnel::systemd {
namespace {

std::optional<std::uint64_t> number_in(const char* variable) noexcept {
  const char* text = std::getenv(variable);
  if (text == nullptr) return {};
  std::uint64_t value = 0;
  auto [end, error] = std::from_chars(text, text + std::strlen(text), value);
  if (error != std::errc() || *end != '\0') return {};
  return value;
}

}  // namespace

result<bool> notify(std::string_view state) {
  const char* where = std::getenv("NOTIFY_SOCKET");
  if (where == nullptr || *where == '\0') return false;
  auto failed = [&](net::failure why) {
    return std::unexpected(net::error_of("notify", where, why));
  };
  net::network_kind kind;
  net::parse_network("unixgram", kind);
  std::vector<net::endpoint> found;
  if (net::failure why = net::resolve_address(nullptr, kind, where, net::purpose::dial, found)) {
    return failed(why);
  }
  int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed(net::failure::of(errno_ref()));
  net::socket out;
  if (int error = out.adopt(fd)) return failed(net::failure::of(error));
  net::failure why;
  const net::endpoint& to = found.front();
  ssize_t n = out.repeat(wait::direction::write, why, [&](int own) {
    return sendto(own, state.data(), state.size(), MSG_NOSIGNAL, to.address(), to.size());
  });
  if (n < 0) return failed(why);
  return true;
}

result<bool> ready() { return notify("READY=1"); }

result<bool> reloading() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  auto us = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 +
            static_cast<std::uint64_t>(now.tv_nsec) / 1000;
  return notify("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(us));
}

result<bool> stopping() { return notify("STOPPING=1"); }

result<bool> status(std::string_view text) { return notify("STATUS=" + std::string(text)); }

result<bool> main_process(pid_t pid) {
  return notify("MAINPID=" + std::to_string(pid) + "\nREADY=1");
}

std::optional<duration> watchdog_interval() {
  auto us = number_in("WATCHDOG_USEC");
  auto pid = number_in("WATCHDOG_PID");
  if (!us || *us == 0 || (pid && *pid != static_cast<std::uint64_t>(getpid()))) return {};
  return std::chrono::duration_cast<duration>(std::chrono::microseconds(*us));
}

result<bool> watchdog() { return notify("WATCHDOG=1"); }

}  // namespace runnel::systemd
