#pragma once
// Networks and addresses as text.

#include <string>
#include <string_view>
#include <vector>

#include "net/errors.h"
#include "runnel/context.h"
#include "runnel/net/endpoint.h"

namespace runnel::net {

struct network_kind {
  const char* name;  // for messages: "tcp", "udp", "unix", "unixgram"
  int family;        // AF_UNSPEC: both versions of IP
  int type;          // SOCK_STREAM, SOCK_DGRAM
};

// False: unknown.
bool parse_network(std::string_view text, network_kind& kind) noexcept;

enum class purpose { listen, dial };

// "host:port" or a path into addresses, best first. Looks names up by the C library, outside the P. ctx may be nullptr.
failure resolve_address(const context* ctx, const network_kind& kind, std::string_view text,
                        purpose why, std::vector<endpoint>& found);

// Puts first what is to be listened at. True: a socket for both versions of IP, since the host was left out.
bool order_for_listening(const network_kind& kind, std::string_view text,
                         std::vector<endpoint>& found);

}  // namespace runnel::net
