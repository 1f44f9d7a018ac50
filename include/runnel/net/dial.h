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
// has failed, and the first to answer wins (RFC 8305). Names are looked up by the C library, on a thread that gives its P up
// meanwhile: /etc/hosts, nsswitch and all. No host: this one. Waits as long as the kernel does, some two minutes.
//
// Errors: errc::unknown_network, bad_address, host_not_found, lookup_failed; std::errc::connection_refused and all that
// connect(2) knows; of several addresses that of the first. Any thread: a goroutine parks, a plain thread blocks, and tries
// addresses one after another.
result<conn> dial(std::string_view network, std::string_view address);
// Gives up when the context ends: errc::canceled, or errc::timed_out for its deadline. What the context does afterwards is
// nothing to the connection.
result<conn> dial(const context& ctx, std::string_view network, std::string_view address);

// What a name and a port stand for, by the rules above, best first; never empty. Errors and threads likewise.
result<std::vector<endpoint>> resolve(const context& ctx, std::string_view network,
                                      std::string_view address);

}  // namespace runnel::net
