#pragma once
// Connecting, and looking up names.

#include <string_view>
#include <vector>

#include "runnel/context.h"
#include "runnel/net/conn.h"

namespace runnel::net {

// network: "tcp", "tcp4", "tcp6" or "unix"; address: "example.org:http", "127.0.0.1:80", "[::1]:80", "/run/a.sock".
//
// A name with several addresses: they are tried in turn, IPv6 first, the next one 250 ms after the last or when that
// has failed, and the first to answer wins (RFC 8305). Names are looked up by the C library, on a thread that is handed its P
// back: /etc/hosts, nsswitch and all. The error is that of the first address tried.
result<conn> dial(std::string_view network, std::string_view address);
// Gives up when the context ends: errc::canceled, or errc::timed_out for its deadline.
result<conn> dial(const context& ctx, std::string_view network, std::string_view address);

// Of "host:port", by the rules above, best first.
result<std::vector<endpoint>> resolve(const context& ctx, std::string_view network,
                                      std::string_view address);

}  // namespace runnel::net
