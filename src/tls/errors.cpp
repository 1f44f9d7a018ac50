#include "tls/errors.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <string>

#include "net/errors.h"

namespace runnel::net {
namespace {

// No library of OpenSSL has the number 0.
constexpr int own_max = 15;

tls_errc kind_of(int value) noexcept {
  if (value < 0) return tls_errc::certificate;
  if (value <= own_max) return static_cast<tls_errc>(value);
  auto packed = static_cast<unsigned long>(value);
  if (ERR_GET_LIB(packed) != ERR_LIB_SSL) return tls_errc::configuration;
  if (ERR_GET_REASON(packed) == SSL_R_CERTIFICATE_VERIFY_FAILED) return tls_errc::certificate;
  return tls_errc::protocol;
}

class category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "runnel.tls"; }
  std::string message(int value) const override {
    if (value < 0) return std::string("tls: ") + X509_verify_cert_error_string(-value);
    switch (static_cast<tls_errc>(value)) {
      case tls_errc::certificate: return "tls: certificate not accepted";
      case tls_errc::protocol: return "tls: protocol error";
      case tls_errc::truncated: return "tls: unexpected end of the stream";
      case tls_errc::configuration: return "tls: unusable configuration";
    }
    const char* reason = ERR_reason_error_string(static_cast<unsigned long>(value));
    return std::string("tls: ") + (reason != nullptr ? reason : "error " + std::to_string(value));
  }
  bool equivalent(const std::error_code& code, int condition) const noexcept override {
    std::error_code plain = without_operation(code);
    return plain.category() == *this && static_cast<int>(kind_of(plain.value())) == condition;
  }
  using std::error_category::equivalent;
};

// Never destroyed: errors may be looked at while the program ends.
union immortal_category {
  constexpr immortal_category() : value{} {}
  ~immortal_category() {}
  category value;
};
constinit immortal_category the_category;

}  // namespace

const std::error_category& tls_category() noexcept { return the_category.value; }

std::error_condition make_error_condition(tls_errc e) noexcept {
  return {static_cast<int>(e), the_category.value};
}

std::error_code of_tls(tls_errc e) noexcept { return {static_cast<int>(e), the_category.value}; }

std::error_code of_certificate(long verify_result) noexcept {
  return {-static_cast<int>(verify_result), the_category.value};
}

std::error_code of_openssl(tls_errc otherwise) noexcept {
  unsigned long first = ERR_get_error();
  ERR_clear_error();
  if (first == 0) return of_tls(otherwise);
  if (ERR_SYSTEM_ERROR(first)) return {ERR_GET_REASON(first), std::system_category()};
  if (ERR_GET_LIB(first) == ERR_LIB_SSL &&
      ERR_GET_REASON(first) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
    return of_tls(tls_errc::truncated);
  }
  return {static_cast<int>(first), the_category.value};
}

}  // namespace runnel::net
