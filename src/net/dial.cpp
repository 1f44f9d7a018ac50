// Connecting to one address, and to the best of several (RFC 8305, "Happy Eyeballs").

#include "runnel/net/dial.h"

#include <sys/socket.h>

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

failure why_ended(const context& ctx) {
  return failure::of(ctx.err() == context_errc::deadline_exceeded ? errc::timed_out
                                                                  : errc::canceled);
}

failure connect_to(const context& ctx, const network_kind& kind, const endpoint& to, conn& made) {
  int fd = ::socket(to.family(), kind.type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return failure::of(errno_ref());
  int rc;
  do rc = connect(fd, to.address(), to.size());
  while (rc != 0 && errno_ref() == EINTR);
  int error = rc == 0 ? 0 : errno_ref();
  auto stream = std::make_shared<stream_socket>(kind.name);
  if (int refused = stream->adopt(fd)) return failure::of(refused);
  if (error == EAGAIN && kind.family == AF_UNIX) return failure::of(EAGAIN);  // its backlog is full
  if (error != 0 && error != EINPROGRESS) return failure::of(error);
  if (error == EINPROGRESS) {
    socket& raw = stream->raw();
    // The end of the context ends the wait.
    auto stop = after_func(ctx, [stream] { stream->set_write_deadline(1); });
    for (;;) {
      failure why = raw.wait_for(wait::direction::write);
      if (ctx.err()) return why_ended(ctx);
      if (why) return why;
      socklen_t size = sizeof error;
      error = 0;
      raw.with([&](int own) { return getsockopt(own, SOL_SOCKET, SO_ERROR, &error, &size); });
      if (error != 0) return failure::of(error);
      // An event may come early: it is connected when it has a peer.
      if (raw.remote().family() != AF_UNSPEC) break;
    }
    if (!stop()) return why_ended(ctx);
  }
  made = conn(std::move(stream));
  return {};
}

struct attempt {
  failure why;
  conn made;
  std::size_t number = 0;
};

// Starts one attempt after another; the first that succeeds wins, the others are given up.
failure connect_to_first(const context& parent, const network_kind& kind,
                         const std::vector<endpoint>& addresses, conn& made) {
  auto [ctx, cancel] = with_cancel(parent);
  auto answers = make_chan<attempt>(addresses.size());
  std::size_t started = 0;
  std::size_t failed = 0;
  std::optional<failure> first;
  auto start = [&] {
    go([ctx, kind, answers, to = addresses[started], number = started] {
      attempt mine;
      mine.number = number;
      mine.why = connect_to(ctx, kind, to, mine.made);
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
  conn made;
  failure why;
  if (ctx.err()) {
    why = why_ended(ctx);
  } else {
    std::vector<endpoint> found;
    why = resolve_address(&ctx, kind, address, purpose::dial, found);
    if (!why && found.size() == 1) {
      why = connect_to(ctx, kind, found.front(), made);
    } else if (!why) {
      interleave(found);
      why = connect_to_first(ctx, kind, found, made);
    }
  }
  if (why) return std::unexpected(error_of("dial", where, why));
  return made;
}

result<conn> dial(std::string_view network, std::string_view address) {
  return dial(background(), network, address);
}

}  // namespace runnel::net
