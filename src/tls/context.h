#pragma once
// A configuration made ready for OpenSSL.

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "runnel/net/tls.h"

namespace runnel::net {

struct free_by_openssl {
  void operator()(SSL_CTX* x) const noexcept { SSL_CTX_free(x); }
  void operator()(SSL* x) const noexcept { SSL_free(x); }
  void operator()(BIO* x) const noexcept { BIO_free(x); }
  void operator()(X509* x) const noexcept { X509_free(x); }
  void operator()(EVP_PKEY* x) const noexcept { EVP_PKEY_free(x); }
};
template <class T>
using openssl_ptr = std::unique_ptr<T, free_by_openssl>;

// Constant once made, so that goroutines share it.
struct tls_context::impl {
  tls_config config;
  role who = role::client;
  std::string alpn;  // as on the wire
  openssl_ptr<SSL_CTX> ctx;

  bool verifies() const noexcept { return config.verify.value_or(who == role::client); }
  // A new state, not connected to anything. server_name: of a client.
  std::error_code start(const std::string& server_name, openssl_ptr<SSL>& made) const;
};

}  // namespace runnel::net
