#pragma once
// Errors with the operation and the address in their message.
//
// A std::error_code is a number and a category: the text of an operation is its category's. Categories live for ever, as
// the standard wants it, and are kept by their text; there is a bound to the number of addresses, beyond which they are left
// out.

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

// "<operation>: <what the failure means>". The operation's text, of which there are few: "read", "listen".
std::error_code error_of(std::string_view operation, failure what) noexcept;

// The same where the operation names an address, which may be left out: "dial" and "tcp 127.0.0.1:80".
std::error_code error_of(std::string_view operation, std::string_view address,
                         failure what) noexcept;

// Likewise of another category's error; one that has an operation already gets this one instead.
std::error_code error_of(std::string_view operation, std::error_code what) noexcept;
std::error_code error_of(std::string_view operation, std::string_view address,
                         std::error_code what) noexcept;

// What it was before its operation was told: a code of the system's category, of error_category(), or another.
std::error_code without_operation(const std::error_code& code) noexcept;

}  // namespace runnel::net
