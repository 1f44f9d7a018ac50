#pragma once
// TLS over a connection, by OpenSSL. Programs that use it link runnel::tls besides; the rest of Runnel needs no OpenSSL.
//
//   tls_config config;                       // verifies by the system's roots
//   auto c = dial_tls(ctx, "tcp", "example.org:443", config);

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "runnel/context.h"
#include "runnel/net/conn.h"
#include "runnel/net/error.h"

namespace runnel::net {

// Errors compare with these; their messages say more: "tls: certificate has expired", "tls: hostname mismatch".
enum class tls_errc {
  certificate = 1,  // the other end's was not accepted
  protocol,         // the handshake failed, or what came was no TLS
  truncated,        // the stream ended without being closed: bytes may be missing
  configuration,  // certificate or key missing, malformed, not fitting each other; nothing to verify the name by
};
std::error_condition make_error_condition(tls_errc e) noexcept;

enum class tls_version : std::uint16_t { tls_1_2 = 0x0303, tls_1_3 = 0x0304 };

struct tls_config {
  // The own certificate, with those that lead to its root, and its key: files, or the text of such files (PEM). A server needs
  // them. Keys with a password are refused.
  std::string certificate_file{};
  std::string key_file{};
  std::string certificate_pem{};
  std::string key_pem{};

  // ALPN, best first: {"h2", "http/1.1"}. A server refuses a client that speaks none of them.
  std::vector<std::string> protocols{};

  // Of a client: whom it wants to talk to, a name or an address. dial_tls takes the host of the address if it is empty.
  std::string server_name{};

  // Whether the other end's certificate is verified. By default a client does so, a server asks for none; one that verifies
  // refuses clients without.
  std::optional<bool> verify{};
  // By the system's roots, and by these besides.
  bool system_roots = true;
  std::string roots_file{};
  std::string roots_pem{};

  tls_version min_version = tls_version::tls_1_2;
};

// A configuration made ready: files are read and roots loaded once, not for every connection. A handle, cheap to copy.
class tls_context {
 public:
  enum class role { client, server };

  tls_context() noexcept = default;
  explicit operator bool() const noexcept { return impl_ != nullptr; }
  // Reads the files; other goroutines run meanwhile. Fails with tls_errc::configuration, whose message says what is wrong.
  static result<tls_context> make(const tls_config& config, role who);

  struct impl;
  const std::shared_ptr<const impl>& get() const noexcept { return impl_; }

 private:
  explicit tls_context(std::shared_ptr<const impl> i) noexcept : impl_(std::move(i)) {}
  std::shared_ptr<const impl> impl_;
};

// The handshake over a connection, which then belongs to the new one. Deadlines of the connection hold for it, too; the end of
// ctx ends it. On failure the connection is of no more use. Reads and writes of the new connection may be under way
// together; a write that fails, also by its deadline, leaves the stream of no more use for writing. close_write tells the
// other end by TLS's own means. Nothing blocks a thread.
result<conn> tls_client(const conn& over, const tls_context& how,
                        const context& ctx = background());
result<conn> tls_server(const conn& over, const tls_context& how,
                        const context& ctx = background());

// With a configuration that is made ready for this connection alone.
result<conn> tls_client(const conn& over, const tls_config& how, const context& ctx = background());
result<conn> tls_server(const conn& over, const tls_config& how, const context& ctx = background());

// dial, and the handshake.
result<conn> dial_tls(const context& ctx, std::string_view network, std::string_view address,
                      const tls_context& how);
result<conn> dial_tls(const context& ctx, std::string_view network, std::string_view address,
                      const tls_config& how = {});

struct tls_state {
  std::string version;      // "TLSv1.3"
  std::string cipher;       // "TLS_AES_256_GCM_SHA384"
  std::string protocol;     // by ALPN; "": none
  std::string server_name;  // that the client asked for
  std::string
      peer;  // the subject of the other end's certificate: "CN = example.org"; "": it showed none
  std::vector<std::string> peer_certificates;  // PEM, its own first
  bool verified = false;                       // it was shown, and verified
};
// Of a connection made by the functions above; otherwise none.
std::optional<tls_state> tls_state_of(const conn& of);

}  // namespace runnel::net

template <>
struct std::is_error_condition_enum<runnel::net::tls_errc> : std::true_type {};
