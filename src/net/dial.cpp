// Connecting to one address, and to the best of several (RFC 8305, "Happy Eyeballs").

#include "net/dial.h"

#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include "net/address.h"
#include "net/stream_socket.h"
#include "runnel/chan.h"
#include "runnel/go.h"
#include "runnel/select.h"

namespace runnel::net {
namespace {

constexpr std::chrono::milliseconds head_start{250};
constexpr std::chrono::milliseconds turn_max{5000};
constexpr std::chrono::milliseconds backlog_pause_min{1};
constexpr std::chrono::milliseconds backlog_pause_max{50};

failure why_ended(const context& ctx) {
  return failure::of(ctx.err() == context_errc::deadline_exceeded ? errc::timed_out
                                                                  : errc::canceled);
}

// Whether a connection under way has been made; as a call of the kernel, so that one can wait for it.
int finish_connect(int fd) noexcept {
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return -1;
  if (error != 0) {
    // A value of that name would be taken for "not yet".
    errno_ref() = error == EAGAIN || error == EINTR ? ECONNABORTED : error;
    return -1;
  }
  // An event may come early: it is connected when it has a peer.
  sockaddr_storage peer;
  size = sizeof peer;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0) return 0;
  if (errno_ref() == ENOTCONN) errno_ref() = EAGAIN;
  return -1;
}

// Where a Unix socket's backlog is full, the kernel does not tell when it has room again.
int connect_patiently(const context& ctx, int fd, const endpoint& to) {
  auto pause = backlog_pause_min;
  for (;;) {
    if (connect(fd, to.address(), to.size()) == 0) return 0;
    int error = errno_ref();
    if (error == EISCONN) return 0;
    if (error == EINTR || error == EALREADY) return EINPROGRESS;  // it goes on
    if (error != EAGAIN || to.family() != AF_UNIX || ctx.err()) return error;
    sleep(pause);
    pause = std::min(2 * pause, backlog_pause_max);
  }
}

failure connect_to(const context& ctx, const network_kind& kind, const name_of_conn& name,
                   const endpoint& to, conn& made) {
  int fd = ::socket(to.family(), kind.type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return failure::of(errno_ref());
  int error = connect_patiently(ctx, fd, to);
  auto stream = std::make_shared<stream_socket>(name);
  if (int refused = stream->adopt(fd)) return failure::of(refused);
  if (error == EINPROGRESS) {
    // The end of the context ends the wait.
    if (auto deadline = ctx.deadline()) stream->set_write_deadline(nanotime_of(*deadline));
    auto stop = after_func(ctx, [stream] { stream->set_write_deadline(1); });
    failure why;
    stream->raw().repeat(wait::direction::write, why, &finish_connect);
    if (!stop() || ctx.err()) return why_ended(ctx);
    if (why) return why;
    stream->set_write_deadline(platform::time_never);
  } else if (error != 0) {
    return ctx.err() ? why_ended(ctx) : failure::of(error);
  }
  made = conn(std::move(stream));
  return {};
}

// One after another, as a plain thread must; each but the last for its share of the time.
failure connect_in_turn(const context& parent, const network_kind& kind, const name_of_conn& name,
                        const std::vector<endpoint>& addresses, conn& made) {
  std::optional<failure> first;
  for (std::size_t i = 0; i < addresses.size() && !parent.err(); ++i) {
    auto share = turn_max;
    if (auto deadline = parent.deadline()) {
      auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          *deadline - std::chrono::steady_clock::now());
      share = std::min(share, left / static_cast<int>(addresses.size() - i));
    }
    bool last = i + 1 == addresses.size();
    auto [ctx, cancel] = last ? with_cancel(parent) : with_timeout(parent, share);
    failure why = connect_to(ctx, kind, name, addresses[i], made);
    cancel();
    if (!why) return why;
    if (!first) first = why;
  }
  return parent.err() ? why_ended(parent) : *first;
}

struct attempt {
  failure why;
  conn made;
  std::size_t number = 0;
};

}  // namespace

failure connect_to_first(const context& parent, const network_kind& kind, const name_of_conn& name,
                         const std::vector<endpoint>& addresses, conn& made) {
  auto [ctx, cancel] = with_cancel(parent);
  auto answers = make_chan<attempt>(addresses.size());
  std::size_t started = 0;
  std::size_t failed = 0;
  std::optional<failure> first;
  auto start = [&] {
    go([ctx, kind, name, answers, to = addresses[started], number = started] {
      attempt mine;
      mine.number = number;
      mine.why = connect_to(ctx, kind, name, to, mine.made);
      answers.send(std::move(mine));
    });
    ++started;
  };
  start();
  while (failed < started) {
    std::optional<attempt> answer;
    bool more = started < addresses.size();
    if (more) {
      if (select(recv(answers, answer), timeout(head_start)) == 1) {
        start();
        continue;
      }
    } else {
      answer = answers.recv();
    }
    if (!answer->why) {
      made = std::move(answer->made);
      cancel();
      return {};
    }
    ++failed;
    if (!first || answer->number == 0) first = answer->why;
    if (parent.err()) break;
    if (more) start();
  }
  cancel();
  return parent.err() ? why_ended(parent) : *first;
}

namespace {

// The versions of IP in turn, beginning with that of the best address.
void interleave(std::vector<endpoint>& addresses) {
  std::vector<endpoint> same;
  std::vector<endpoint> other;
  for (const endpoint& one : addresses) {
    (one.family() == addresses.front().family() ? same : other).push_back(one);
  }
  std::vector<endpoint> mixed;
  for (std::size_t i = 0; i < std::max(same.size(), other.size()); ++i) {
    if (i < same.size()) mixed.push_back(same[i]);
    if (i < other.size()) mixed.push_back(other[i]);
  }
  addresses = std::move(mixed);
}

}  // namespace

result<conn> dial(const context& ctx, std::string_view network, std::string_view address) {
  network_kind kind;
  if (!parse_network(network, kind) || kind.type != SOCK_STREAM) {
    return std::unexpected(error_of("dial", network, failure::of(errc::unknown_network)));
  }
  std::string where = std::string(network) + " " + std::string(address);
  auto name = std::make_shared<const std::string>(where);
  conn made;
  failure why;
  if (ctx.err()) {
    why = why_ended(ctx);
  } else {
    std::vector<endpoint> found;
    why = resolve_address(&ctx, kind, address, purpose::dial, found);
    if (!why && found.size() == 1) {
      why = connect_to(ctx, kind, name, found.front(), made);
    } else if (!why) {
      interleave(found);
      why = goroutine_id() == 0 ? connect_in_turn(ctx, kind, name, found, made)
                                : connect_to_first(ctx, kind, name, found, made);
    }
  }
  if (why) return std::unexpected(error_of("dial", where, why));
  return made;
}

result<conn> dial(std::string_view network, std::string_view address) {
  return dial(background(), network, address);
}

}  // namespace runnel::net
