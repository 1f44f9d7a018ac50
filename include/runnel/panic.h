#pragma once
// Panics raised by the runtime itself.

#include <any>
#include <exception>
#include <string>
#include <utility>

namespace runnel {

// What panic() throws.
class panic_error : public std::exception {
 public:
  explicit panic_error(std::any value, std::string text)
      : value_(std::move(value)), text_(std::move(text)) {}
  ~panic_error() override;

  const std::any& value() const noexcept { return value_; }
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::any value_;
  std::string text_;
};

// A programming error found by the runtime: "close of nil channel", "sync: negative WaitGroup counter", …
class runtime_error : public panic_error {
 public:
  explicit runtime_error(const std::string& text) : panic_error(text, text) {}
  ~runtime_error() override;
};

}  // namespace runnel
