#include "net/address.h"

#include <netdb.h>
#include <netinet/in.h>

#include <cstddef>
#include <cstring>
#include <memory>

#include "runnel/chan.h"
#include "runnel/go.h"
#include "runnel/net/dial.h"
#include "runnel/select.h"

namespace runnel::net {
namespace {

bool split(std::string_view text, std::string& host, std::string& port) {
  std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  std::string_view left = text.substr(0, colon);
  port = text.substr(colon + 1);
  if (left.starts_with('[')) {
    if (!left.ends_with(']') || left.size() < 3) return false;
    host = left.substr(1, left.size() - 2);
  } else {
    if (left.find(':') != std::string_view::npos) return false;  // IPv6 needs its brackets
    host = left;
  }
  return true;
}

failure unix_address(std::string_view path, endpoint& found) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) return failure::of(errc::bad_address);
  std::memcpy(address.sun_path, path.data(), path.size());
  std::size_t size = offsetof(sockaddr_un, sun_path) + path.size();
  if (path[0] == '@') {
    address.sun_path[0] = '\0';  // the abstract name space
  } else {
    ++size;
  }
  found = endpoint(reinterpret_cast<const sockaddr*>(&address), static_cast<socklen_t>(size));
  return {};
}

struct lookup {
  std::string host;
  std::string port;
  addrinfo hints{};
  int result = 0;
  int system_error = 0;
  addrinfo* list = nullptr;

  lookup() = default;
  lookup(const lookup&) = delete;
  lookup& operator=(const lookup&) = delete;
  ~lookup() {
    if (list != nullptr) freeaddrinfo(list);
  }
  void ask() {
    result = getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &hints, &list);
    system_error = errno_ref();
  }
};

// Asks on a goroutine of its own, since somebody may lose patience: the C library knows no cancellation.
failure ask_until(const context& ctx, const std::shared_ptr<lookup>& what) {
  auto done = make_chan<unit>(1);
  go([what, done] {
    blocking([&] { what->ask(); });
    done.send(unit{});
  });
  if (select(recv(done), recv(ctx.done())) == 0) return {};
  return failure::of(ctx.err() == context_errc::deadline_exceeded ? errc::timed_out
                                                                  : errc::canceled);
}

failure meaning_of(const lookup& asked) noexcept {
  switch (asked.result) {
    case 0: return {};
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY: return failure::of(errc::host_not_found);
    case EAI_SERVICE: return failure::of(errc::bad_address);
    case EAI_SYSTEM: return failure::of(asked.system_error);
    case EAI_MEMORY: return failure::of(ENOMEM);
    default: return failure::of(errc::lookup_failed);
  }
}

bool is_number(const std::string& text) noexcept {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

bool is_port(const std::string& number) noexcept {
  constexpr std::size_t digits_max = 5;
  return number.size() <= digits_max && std::stoul(number) <= 65535;
}

}  // namespace

bool parse_network(std::string_view text, network_kind& kind) noexcept {
  static constexpr struct {
    std::string_view text;
    network_kind kind;
  } known[] = {
      {"tcp", {"tcp", AF_UNSPEC, SOCK_STREAM}}, {"tcp4", {"tcp", AF_INET, SOCK_STREAM}},
      {"tcp6", {"tcp", AF_INET6, SOCK_STREAM}}, {"udp", {"udp", AF_UNSPEC, SOCK_DGRAM}},
      {"udp4", {"udp", AF_INET, SOCK_DGRAM}},   {"udp6", {"udp", AF_INET6, SOCK_DGRAM}},
      {"unix", {"unix", AF_UNIX, SOCK_STREAM}}, {"unixgram", {"unixgram", AF_UNIX, SOCK_DGRAM}},
  };
  for (const auto& one : known) {
    if (one.text == text) {
      kind = one.kind;
      return true;
    }
  }
  return false;
}

failure resolve_address(const context* ctx, const network_kind& kind, std::string_view text,
                        purpose why, std::vector<endpoint>& found) {
  if (kind.family == AF_UNIX) {
    endpoint path;
    failure bad = unix_address(text, path);
    if (!bad) found.push_back(path);
    return bad;
  }
  auto asked = std::make_shared<lookup>();
  if (!split(text, asked->host, asked->port) || asked->port.empty()) {
    return failure::of(errc::bad_address);
  }
  // The C library would take such numbers modulo 65536, and a name up to its first zero byte.
  if (text.find('\0') != std::string_view::npos ||
      (is_number(asked->port) && !is_port(asked->port))) {
    return failure::of(errc::bad_address);
  }
  asked->hints.ai_family = kind.family;
  asked->hints.ai_socktype = kind.type;
  asked->hints.ai_flags = AI_NUMERICHOST | (is_number(asked->port) ? AI_NUMERICSERV : 0);
  if (asked->host.empty() && why == purpose::listen) asked->hints.ai_flags |= AI_PASSIVE;
  // An address in figures is no reason to leave the P.
  asked->ask();
  if (asked->result == EAI_NONAME && !asked->host.empty()) {
    asked->hints.ai_flags &= ~AI_NUMERICHOST;
    if (ctx != nullptr && goroutine_id() != 0) {
      if (failure late = ask_until(*ctx, asked)) return late;
    } else {
      blocking([&] { asked->ask(); });
    }
  }
  if (failure bad = meaning_of(*asked)) return bad;
  for (const addrinfo* one = asked->list; one != nullptr; one = one->ai_next) {
    found.emplace_back(one->ai_addr, one->ai_addrlen);
  }
  return found.empty() ? failure::of(errc::host_not_found) : failure{};
}

bool order_for_listening(const network_kind& kind, std::string_view text,
                         std::vector<endpoint>& found) {
  bool everywhere = text.starts_with(':') && kind.family == AF_UNSPEC;
  int first = everywhere ? AF_INET6 : AF_INET;
  // Not stable_partition: for that, Clang 19 finds fault with the library of GCC 12.
  std::vector<endpoint> others;
  std::erase_if(found, [&](const endpoint& one) {
    if (one.family() != first) others.push_back(one);
    return one.family() != first;
  });
  found.insert(found.end(), others.begin(), others.end());
  return everywhere;
}

result<std::vector<endpoint>> resolve(const context& ctx, std::string_view network,
                                      std::string_view address) {
  network_kind kind;
  if (!parse_network(network, kind)) {
    return std::unexpected(error_of("lookup", network, failure::of(errc::unknown_network)));
  }
  std::vector<endpoint> found;
  if (failure why = resolve_address(&ctx, kind, address, purpose::dial, found)) {
    return std::unexpected(error_of("lookup", address, why));
  }
  return found;
}

}  // namespace runnel::net
