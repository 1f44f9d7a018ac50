// TLS connections: the handshake, and what programs call.

#include "runnel/net/tls.h"

#include <tuple>

#include "net/errors.h"
#include "runnel/net/dial.h"
#include "tls/context.h"
#include "tls/errors.h"
#include "tls/stream.h"

namespace runnel::net {
namespace {

std::string name_of(const conn& c) {
  endpoint far = c.remote();
  std::string address = (far.to_string().empty() ? c.local() : far).to_string();
  return (far.family() == AF_UNIX ? "unix " : "tcp ") + address;
}

// The error is without an operation.
result<conn> shake_hands(const conn& over, const tls_context& how, const std::string& server_name,
                         const context& ctx) {
  openssl_ptr<SSL> ssl;
  if (std::error_code why = how.get()->start(server_name, ssl)) return std::unexpected(why);
  auto made = std::make_shared<tls_stream>(over, how.get(), std::move(ssl));
  std::error_code why;
  bool in_time = !ctx.err();
  if (in_time) {
    // The end of the context ends the waits.
    auto stop = after_func(ctx, [over] {
      over.impl()->set_read_deadline(1);
      over.impl()->set_write_deadline(1);
    });
    why = made->handshake();
    in_time = stop();
  }
  if (!in_time) {
    why = error_of("handshake",
                   failure::of(ctx.err() == context_errc::deadline_exceeded ? errc::timed_out
                                                                            : errc::canceled));
  }
  if (why) {
    std::ignore = over.close();
    return std::unexpected(without_operation(why));
  }
  return conn(std::move(made));
}

result<conn> client(const conn& over, const tls_context& how, const std::string& server_name,
                    const context& ctx, std::string_view operation, std::string_view where) {
  if (!how || how.get()->who != tls_context::role::client) {
    return std::unexpected(error_of(operation, where, of_tls(tls_errc::configuration)));
  }
  auto made = shake_hands(over, how, server_name, ctx);
  if (!made) return std::unexpected(error_of(operation, where, made.error()));
  return made;
}

std::string host_of(std::string_view address) {
  std::string_view host = address.substr(0, address.rfind(':'));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return std::string(host.substr(0, host.find('%')));
}

}  // namespace

result<conn> tls_client(const conn& over, const tls_context& how, const context& ctx) {
  std::string where = name_of(over);
  std::string name = how ? how.get()->config.server_name : std::string();
  return client(over, how, name, ctx, "handshake", where);
}

result<conn> tls_server(const conn& over, const tls_context& how, const context& ctx) {
  std::string where = name_of(over);
  if (!how || how.get()->who != tls_context::role::server) {
    return std::unexpected(error_of("handshake", where, of_tls(tls_errc::configuration)));
  }
  auto made = shake_hands(over, how, "", ctx);
  if (!made) return std::unexpected(error_of("handshake", where, made.error()));
  return made;
}

result<conn> tls_client(const conn& over, const tls_config& how, const context& ctx) {
  auto ready = tls_context::make(how, tls_context::role::client);
  if (!ready) return std::unexpected(ready.error());
  return tls_client(over, *ready, ctx);
}

result<conn> tls_server(const conn& over, const tls_config& how, const context& ctx) {
  auto ready = tls_context::make(how, tls_context::role::server);
  if (!ready) return std::unexpected(ready.error());
  return tls_server(over, *ready, ctx);
}

result<conn> dial_tls(const context& ctx, std::string_view network, std::string_view address,
                      const tls_context& how) {
  auto made = dial(ctx, network, address);
  if (!made) return made;
  std::string name = how ? how.get()->config.server_name : std::string();
  if (name.empty()) name = host_of(address);
  std::string where = std::string(network) + " " + std::string(address);
  return client(*made, how, name, ctx, "dial", where);
}

result<conn> dial_tls(const context& ctx, std::string_view network, std::string_view address,
                      const tls_config& how) {
  auto ready = tls_context::make(how, tls_context::role::client);
  if (!ready) return std::unexpected(ready.error());
  return dial_tls(ctx, network, address, *ready);
}

std::optional<tls_state> tls_state_of(const conn& of) {
  auto* stream = dynamic_cast<tls_stream*>(of.impl().get());
  if (stream == nullptr) return std::nullopt;
  return stream->state();
}

}  // namespace runnel::net
