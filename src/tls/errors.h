#pragma once
// Errors of TLS as values.
//
// Numbers of the category: above 0 those of OpenSSL's library (ERR_get_error); below 0 reasons why a certificate was not
// accepted (X509_V_ERR_…), turned round; own ones lie where OpenSSL has none.

#include <string_view>
#include <system_error>

#include "runnel/net/tls.h"

namespace runnel::net {

const std::error_category& tls_category() noexcept;

// Own ones.
std::error_code of_tls(tls_errc e) noexcept;
// Of a certificate: X509_V_ERR_….
std::error_code of_certificate(long verify_result) noexcept;
// The first in the calling thread's queue of errors, which is then empty; `otherwise` if there is none.
std::error_code of_openssl(tls_errc otherwise) noexcept;

}  // namespace runnel::net
