#pragma once
// Errors of the network as values.
//
// A std::error_code whose message says what was tried: "dial tcp 127.0.0.1:1: Connection refused", "read tcp: Connection
// reset by peer". Compare it with std::errc (error == std::errc::connection_refused) or with the errors below; its category
// belongs to the operation, so value() and category() tell little. error.default_error_condition().message() is the reason
// alone: "Connection refused".

#include <expected>
#include <system_error>

namespace runnel {

// A value, or what went wrong. Reading the value of an error throws std::bad_expected_access.
template <class T>
using result = std::expected<T, std::error_code>;

namespace net {

enum class errc {
  closed = 1,       // use of closed network connection
  timed_out,        // the deadline has passed; equals std::errc::timed_out
  unknown_network,  // not "tcp", "tcp4", "tcp6", "unix", "udp", "udp4", "udp6", "unixgram"
  bad_address,      // missing port, no such service, malformed
  host_not_found,   // the name does not exist
  lookup_failed,    // the name could not be looked up; another time perhaps
  canceled,         // the context has ended
  not_ready,        // a successor ended before it was ready
};
std::error_condition make_error_condition(errc e) noexcept;
const std::error_category& error_category() noexcept;

}  // namespace net
}  // namespace runnel

template <>
struct std::is_error_condition_enum<runnel::net::errc> : std::true_type {};
