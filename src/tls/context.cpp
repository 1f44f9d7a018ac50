#include "tls/context.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "net/errors.h"
#include "runnel/go.h"
#include "tls/errors.h"

namespace runnel::net {
namespace {

// OpenSSL would ask for a password on the terminal.
int no_password(char*, int, int, void*) { return -1; }

openssl_ptr<BIO> reader_of(const std::string& text) {
  return openssl_ptr<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// Those that can be read before the end, which is told by an error, too.
template <class Use>
bool each_certificate(const std::string& pem, Use use) {
  auto in = reader_of(pem);
  int count = 0;
  while (in) {
    openssl_ptr<X509> one(PEM_read_bio_X509(in.get(), nullptr, &no_password, nullptr));
    if (!one) break;
    if (!use(one, count)) return false;
    ++count;
  }
  unsigned long last = ERR_peek_last_error();
  bool at_end = ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
  if (count == 0 || !at_end) return false;
  ERR_clear_error();
  return true;
}

bool use_certificate(SSL_CTX* ctx, const std::string& pem) {
  return each_certificate(pem, [&](openssl_ptr<X509>& one, int number) {
    if (number == 0) return SSL_CTX_use_certificate(ctx, one.get()) == 1;
    if (SSL_CTX_add0_chain_cert(ctx, one.get()) != 1) return false;
    [[maybe_unused]] X509* now_its = one.release();
    return true;
  });
}

bool use_key(SSL_CTX* ctx, const std::string& pem) {
  auto in = reader_of(pem);
  openssl_ptr<EVP_PKEY> key(PEM_read_bio_PrivateKey(in.get(), nullptr, &no_password, nullptr));
  return key && SSL_CTX_use_PrivateKey(ctx, key.get()) == 1;
}

bool add_roots(SSL_CTX* ctx, const tls_config& config) {
  if (config.system_roots && SSL_CTX_set_default_verify_paths(ctx) != 1) return false;
  if (!config.roots_file.empty() &&
      SSL_CTX_load_verify_locations(ctx, config.roots_file.c_str(), nullptr) != 1) {
    return false;
  }
  if (config.roots_pem.empty()) return true;
  X509_STORE* roots = SSL_CTX_get_cert_store(ctx);
  return each_certificate(config.roots_pem, [&](openssl_ptr<X509>& one, int) {
    return X509_STORE_add_cert(roots, one.get()) == 1;
  });
}

bool add_own(SSL_CTX* ctx, const tls_config& config) {
  SSL_CTX_set_default_passwd_cb(ctx, &no_password);
  if (!config.certificate_file.empty() &&
      SSL_CTX_use_certificate_chain_file(ctx, config.certificate_file.c_str()) != 1) {
    return false;
  }
  if (!config.key_file.empty() &&
      SSL_CTX_use_PrivateKey_file(ctx, config.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    return false;
  }
  if (!config.certificate_pem.empty() && !use_certificate(ctx, config.certificate_pem)) {
    return false;
  }
  if (!config.key_pem.empty() && !use_key(ctx, config.key_pem)) return false;
  bool has_own = SSL_CTX_get0_certificate(ctx) != nullptr;
  return !has_own || SSL_CTX_check_private_key(ctx) == 1;
}

// By the server's taste.
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* size,
                    const unsigned char* offered, unsigned int offered_size, void* argument) {
  const auto& own = *static_cast<const std::string*>(argument);
  unsigned char* found = nullptr;
  int how = SSL_select_next_proto(&found, size, reinterpret_cast<const unsigned char*>(own.data()),
                                  static_cast<unsigned>(own.size()), offered, offered_size);
  *chosen = found;
  return how == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

bool set_up(tls_context::impl& made) {
  const tls_config& config = made.config;
  bool client = made.who == tls_context::role::client;
  made.ctx.reset(SSL_CTX_new(client ? TLS_client_method() : TLS_server_method()));
  SSL_CTX* ctx = made.ctx.get();
  if (ctx == nullptr) return false;
  SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
  if (SSL_CTX_set_min_proto_version(ctx, static_cast<int>(config.min_version)) != 1) return false;
  int asks = client ? SSL_VERIFY_PEER : SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  SSL_CTX_set_verify(ctx, made.verifies() ? asks : SSL_VERIFY_NONE, nullptr);
  if (made.verifies() && !add_roots(ctx, config)) return false;
  if (!add_own(ctx, config)) return false;
  if (!client) {
    // Sessions that are resumed must be of servers that verify alike; one without a name is refused.
    static constexpr unsigned char session_name[] = "runnel";
    SSL_CTX_set_session_id_context(ctx, session_name, sizeof session_name - 1);
  }
  if (made.alpn.empty()) return true;
  if (!client) {
    SSL_CTX_set_alpn_select_cb(ctx, &choose_protocol, &made.alpn);
    return true;
  }
  return SSL_CTX_set_alpn_protos(ctx, reinterpret_cast<const unsigned char*>(made.alpn.data()),
                                 static_cast<unsigned>(made.alpn.size())) == 0;
}

bool is_address(const std::string& name) noexcept {
  in6_addr any;
  return inet_pton(AF_INET, name.c_str(), &any) == 1 ||
         inet_pton(AF_INET6, name.c_str(), &any) == 1;
}

}  // namespace

result<tls_context> tls_context::make(const tls_config& config, role who) {
  auto made = std::make_shared<impl>();
  made->config = config;
  made->who = who;
  auto refuse = [](std::error_code why) {
    return std::unexpected(error_of("tls configuration", why));
  };
  for (const std::string& one : config.protocols) {
    constexpr std::size_t longest = 255;
    if (one.empty() || one.size() > longest) return refuse(of_tls(tls_errc::configuration));
    made->alpn += static_cast<char>(one.size());
    made->alpn += one;
  }
  // Files are read, perhaps many.
  std::error_code why = blocking([&] {
    ERR_clear_error();
    return set_up(*made) ? std::error_code() : of_openssl(tls_errc::configuration);
  });
  if (why) return refuse(why);
  if (who == role::server && SSL_CTX_get0_certificate(made->ctx.get()) == nullptr) {
    return refuse(of_tls(tls_errc::configuration));
  }
  return tls_context(std::move(made));
}

std::error_code tls_context::impl::start(const std::string& server_name,
                                         openssl_ptr<SSL>& made) const {
  ERR_clear_error();
  made.reset(SSL_new(ctx.get()));
  if (!made) return of_openssl(tls_errc::configuration);
  if (who == role::server) {
    SSL_set_accept_state(made.get());
    return {};
  }
  SSL_set_connect_state(made.get());
  if (server_name.empty()) {
    return verifies() ? of_tls(tls_errc::configuration) : std::error_code();
  }
  bool set;
  if (is_address(server_name)) {
    set = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(made.get()), server_name.c_str()) == 1;
  } else {
    SSL_set_hostflags(made.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    set = SSL_set1_host(made.get(), server_name.c_str()) == 1 &&
          SSL_set_tlsext_host_name(made.get(), server_name.c_str()) == 1;
  }
  return set ? std::error_code() : of_openssl(tls_errc::configuration);
}

}  // namespace runnel::net
