#pragma once
// Errors with the operation and the address in their message.
//
// A std::error_code is a number and a category: the text of an operation is its category's. Categories live for ever, as
// the standard wants it, and are kept by their text; there is a bound to their number, beyond which the address is left out.

#include <string_view>
#include <system_error>

#include "runnel/net/error.h"

namespace runnel::net {

// An errno or an errc; 0: none.
struct failure {
  int number = 0;
  bool ours = false;  // an errc

  static failure of(int code) noexcept { return {code, false}; }
  static failure of(errc e) noexcept { return {static_cast<int>(e), true}; }
  explicit operator bool() const noexcept { return number != 0; }
};

// "<operation>: <what the failure means>". The operation's text: "read tcp", "dial tcp 127.0.0.1:80".
std::error_code error_of(std::string_view operation, failure what) noexcept;

// The same where the operation names an address, which may be left out.
std::error_code error_of(std::string_view operation, std::string_view address,
                         failure what) noexcept;

}  // namespace runnel::net
