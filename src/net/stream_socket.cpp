#include "net/stream_socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "runnel/go.h"

namespace runnel::net {
namespace {

constexpr int parts_max = 64;
constexpr std::size_t send_file_max = 1 << 22;  // to a call: others want to run
constexpr std::size_t copy_max = 64 << 10;
constexpr int keep_alive_s = 15;

bool set(int fd, int level, int which, int value) noexcept {
  return setsockopt(fd, level, which, &value, sizeof value) == 0;
}

// sendfile has no MSG_NOSIGNAL. The signal is the calling thread's: it is blocked for the call, and taken if it came.
ssize_t send_file_quietly(int fd, int file, off_t& at, std::size_t most) noexcept {
  sigset_t pipe;
  sigset_t before;
  sigset_t pending;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  sigemptyset(&pending);
  pthread_sigmask(SIG_BLOCK, &pipe, &before);
  bool blocked_before = sigismember(&before, SIGPIPE) == 1;
  if (blocked_before) sigpending(&pending);
  ssize_t n = sendfile(fd, file, &at, most);
  int code = n < 0 ? errno_ref() : 0;
  // Also where some was sent before the other end went away.
  if (n < static_cast<ssize_t>(most) && code != EAGAIN && sigismember(&pending, SIGPIPE) != 1) {
    timespec at_once{};
    while (sigtimedwait(&pipe, nullptr, &at_once) < 0 && errno_ref() == EINTR) {
    }
  }
  if (!blocked_before) pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (n < 0) errno_ref() = code;
  return n;
}

}  // namespace

void set_usual_options(int fd) noexcept {
  set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(fd, IPPROTO_TCP, TCP_KEEPIDLE, keep_alive_s);
  set(fd, IPPROTO_TCP, TCP_KEEPINTVL, keep_alive_s);
}

int stream_socket::adopt(int fd, bool is_set) noexcept {
  if (tcp_ && !is_set) set_usual_options(fd);
  return socket_.adopt(fd);
}

result<std::size_t> stream_socket::read(std::span<std::byte> into) {
  if (into.empty()) return 0;
  failure why;
  ssize_t n = tcp_ ? socket_.receive(into, why)
                   : socket_.repeat(wait::direction::read, why,
                                    [&](int fd) { return recv(fd, into.data(), into.size(), 0); });
  if (n < 0) return std::unexpected(error("read", why));
  return static_cast<std::size_t>(n);
}

result<std::size_t> stream_socket::write(std::span<const std::span<const std::byte>> parts) {
  std::size_t written = 0;
  std::size_t first = 0;   // the part that is to be sent next,
  std::size_t offset = 0;  // from here on
  for (;;) {
    iovec pieces[parts_max];
    int count = 0;
    for (std::size_t i = first; i < parts.size() && count < parts_max; ++i) {
      std::size_t skip = i == first ? offset : 0;
      if (parts[i].size() == skip) {
        if (count == 0) {
          first = i + 1;
          offset = 0;
        }
        continue;
      }
      pieces[count++] = {const_cast<std::byte*>(parts[i].data()) + skip, parts[i].size() - skip};
    }
    if (count == 0) return written;
    failure why;
    ssize_t n = socket_.repeat(wait::direction::write, why, [&](int fd) {
      // For one part alone send is the shorter way.
      if (count == 1) return send(fd, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL);
      msghdr message{};
      message.msg_iov = pieces;
      message.msg_iovlen = static_cast<std::size_t>(count);
      return sendmsg(fd, &message, MSG_NOSIGNAL);
    });
    if (n < 0) return std::unexpected(error("write", why));
    auto left = static_cast<std::size_t>(n);
    written += left;
    while (first < parts.size() && left >= parts[first].size() - offset) {
      left -= parts[first].size() - offset;
      ++first;
      offset = 0;
    }
    offset += left;
  }
}

result<std::uint64_t> stream_socket::send_file(int file, std::uint64_t offset,
                                               std::uint64_t count) {
  std::uint64_t sent = 0;
  while (sent < count) {
    failure why;
    auto at = static_cast<off_t>(offset + sent);
    std::size_t most = std::min<std::uint64_t>(count - sent, send_file_max);
    ssize_t n = socket_.repeat(wait::direction::write, why,
                               [&](int fd) { return send_file_quietly(fd, file, at, most); });
    if (n < 0 && !why.ours && (why.number == EINVAL || why.number == ENOSYS)) {
      // Not a file that the kernel can send from.
      auto rest = copy_file(*this, *name_, file, offset + sent, count - sent);
      if (!rest) return rest;
      return sent + *rest;
    }
    if (n < 0) return std::unexpected(error("sendfile", why));
    if (n == 0) break;
    sent += static_cast<std::uint64_t>(n);
    if (sent < count) yield();
  }
  return sent;
}

result<std::uint64_t> copy_file(detail::stream& to, std::string_view name, int file,
                                std::uint64_t offset, std::uint64_t count) {
  std::vector<std::byte> room(std::min<std::uint64_t>(count, copy_max));
  std::uint64_t sent = 0;
  while (sent < count) {
    std::size_t most = std::min<std::uint64_t>(count - sent, room.size());
    auto at = static_cast<off_t>(offset + sent);
    ssize_t n = blocking([&] { return pread(file, room.data(), most, at); });
    if (n < 0 && errno_ref() == EINTR) continue;
    if (n < 0) return std::unexpected(error_of("sendfile", name, failure::of(errno_ref())));
    if (n == 0) break;
    std::span<const std::byte> part(room.data(), static_cast<std::size_t>(n));
    auto written = to.write({&part, 1});
    if (!written) return std::unexpected(written.error());
    sent += part.size();
  }
  return sent;
}

std::error_code stream_socket::close_write() {
  int rc = socket_.with([](int fd) { return shutdown(fd, SHUT_WR) == 0 ? 0 : errno_ref(); });
  return error("shutdown", rc == EBADF ? failure::of(errc::closed) : failure::of(rc));
}

std::error_code stream_socket::set_option(int level, int option, int value) {
  int rc = socket_.with([&](int own) { return set(own, level, option, value) ? 0 : errno_ref(); });
  return error("set", rc == EBADF ? failure::of(errc::closed) : failure::of(rc));
}

std::error_code stream_socket::close() {
  return socket_.close() ? std::error_code() : error("close", failure::of(errc::closed));
}

result<std::size_t> conn::read_full(std::span<std::byte> into) const {
  std::size_t done = 0;
  while (done < into.size()) {
    auto n = read(into.subspan(done));
    if (!n) return n;
    if (*n == 0) break;
    done += *n;
  }
  return done;
}

void conn::set_deadline(time_point when) const {
  set_read_deadline(when);
  set_write_deadline(when);
}
void conn::set_read_deadline(time_point when) const {
  stream_->set_read_deadline(nanotime_of(when));
}
void conn::set_write_deadline(time_point when) const {
  stream_->set_write_deadline(nanotime_of(when));
}

std::error_code detail::stream::set_option(int, int, int) {
  return error_of("set", failure::of(EOPNOTSUPP));
}

std::error_code conn::set_no_delay(bool on) const {
  return stream_->set_option(IPPROTO_TCP, TCP_NODELAY, on ? 1 : 0);
}

std::error_code conn::set_keep_alive(duration silence) const {
  auto seconds = std::chrono::ceil<std::chrono::seconds>(silence).count();
  int s = static_cast<int>(std::clamp<std::int64_t>(seconds, 0, 32767));
  std::error_code failed = stream_->set_option(SOL_SOCKET, SO_KEEPALIVE, s > 0 ? 1 : 0);
  if (s == 0 || failed) return failed;
  failed = stream_->set_option(IPPROTO_TCP, TCP_KEEPIDLE, s);
  return failed ? failed : stream_->set_option(IPPROTO_TCP, TCP_KEEPINTVL, s);
}

}  // namespace runnel::net
