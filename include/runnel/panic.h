#pragma once
// Panics: what stops the ordinary flow of a goroutine, and how to recover from one (runnel/defer.h has func).
//
// A panic is a C++ exception, and every C++ exception is a panic: it unwinds the stack, runs destructors and deferred
// calls, can be recovered by a deferred call or caught by a handler, and ends the program with a report and exit status 2
// if nobody does.

#include <any>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>

namespace runnel {

namespace detail {
struct panic_content;
struct panic_record;
// "(the type's name)", for values that cannot be printed.
std::string type_text(const std::type_info& type);
const panic_content* share(const panic_content* content) noexcept;
void release(const panic_content* content) noexcept;
}  // namespace detail

// What panic() throws. Cheap to copy; copies share what they say.
class panic_error : public std::exception {
 public:
  panic_error(std::any value, std::string text);
  // Takes over what detail::panic_with has made.
  explicit panic_error(const detail::panic_content* made) noexcept : content_(made) {}
  panic_error(const panic_error& o) noexcept
      : std::exception(o), content_(detail::share(o.content_)) {}
  panic_error& operator=(const panic_error& o) noexcept {
    if (this != &o) detail::release(std::exchange(content_, detail::share(o.content_)));
    return *this;
  }
  ~panic_error() override;

  // What was given to panic(); text as std::string.
  const std::any& value() const noexcept;
  const char* what() const noexcept override;
  // Return addresses of the calls that were active at the panic, innermost first; at most 32.
  std::span<void* const> backtrace() const noexcept;
  // The goroutine that panicked; 0: a plain thread.
  std::uint64_t goroutine() const noexcept;

 private:
  const detail::panic_content* content_;
};

// A programming error found by the runtime: "close of nil channel", "sync: negative WaitGroup counter", …
class runtime_error : public panic_error {
 public:
  explicit runtime_error(const std::string& text);
  runtime_error(const runtime_error&) noexcept = default;
  runtime_error& operator=(const runtime_error&) noexcept = default;
  ~runtime_error() override;
};

namespace detail {

template <class T>
std::string panic_text(const T& v) {
  if constexpr (std::convertible_to<const T&, std::string_view>) {
    return std::string(std::string_view(v));
  } else if constexpr (std::derived_from<T, std::exception>) {
    return v.what();
  } else if constexpr (std::same_as<T, bool>) {
    return v ? "true" : "false";
  } else if constexpr (requires(std::ostream& out) { out << v; }) {
    std::ostringstream out;
    out << v;
    return std::move(out).str();
  } else {
    return type_text(typeid(T));
  }
}

// Makes what a panic_error carries; its backtrace begins at the return address `from`.
const panic_content* panic_with(std::any value, std::string text, void* from);
const panic_content* panic_with(std::string_view text);  // from the caller

template <class T>
[[gnu::noinline]] const panic_content* panic_with_value(T&& v) {
  std::string text = panic_text<std::decay_t<T>>(v);
  return panic_with(std::any(std::forward<T>(v)), std::move(text), __builtin_return_address(0));
}

}  // namespace detail

// Begins to panic with any copyable value. The report shows strings, exceptions and whatever can be written to a
// std::ostream; of others the type. A null pointer panics with a runtime_error of its own, as in Go.
template <class T>
[[noreturn, gnu::noinline]] void panic(T&& v) {
  using value = std::decay_t<T>;
  // Nothing here needs a destructor: an unwinder that has to run one pays for stopping.
  if constexpr (std::is_null_pointer_v<value>) {
    throw runtime_error("panic called with nil argument");
  } else if constexpr (std::convertible_to<const value&, std::string_view>) {
    const detail::panic_content* made = detail::panic_with(std::string_view(v));
    throw panic_error(made);
  } else {
    const detail::panic_content* made = detail::panic_with_value(std::forward<T>(v));
    throw panic_error(made);
  }
}

// A panic that a deferred call is told of.
class panic_info {
 public:
  // What was given to panic(); for other exceptions, the std::exception_ptr itself.
  const std::any& value() const noexcept;
  // Its text in the report: of an exception, what().
  const char* what() const noexcept;
  std::exception_ptr exception() const noexcept;
  // A panic of the runtime itself.
  bool is_runtime_error() const noexcept;
  // As panic_error's, of other exceptions where they were thrown; these are lost, and this empty, if memory is short.
  std::span<void* const> backtrace() const noexcept;
  // The panic that this one has taken over, or nullptr.
  const panic_info* previous() const noexcept;

 private:
  friend struct detail::panic_record;
  explicit panic_info(const detail::panic_record* record) noexcept : record_(record) {}
  const detail::panic_record* record_;
};

// In a call deferred with func's defer, while that func is panicking: stops the panic, and says what it was, until that
// func returns. Otherwise nullptr: when nothing panics, in a func that the deferred call calls, for goexit, and a second
// time.
const panic_info* recover() noexcept;

}  // namespace runnel
