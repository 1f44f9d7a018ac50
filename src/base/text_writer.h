#pragma once
// Text for reports: to a file descriptor through a small buffer, without allocating or locking; or to a string.
//
// Invariant: what was put is written when the writer is destroyed or flushed.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace runnel::base {

class text_writer {
 public:
  explicit text_writer(int fd) noexcept : fd_(fd) {}
  explicit text_writer(std::string& to) noexcept : to_(&to) {}
  ~text_writer() { flush(); }
  text_writer(const text_writer&) = delete;
  text_writer& operator=(const text_writer&) = delete;

  text_writer& operator<<(std::string_view text) noexcept;
  text_writer& operator<<(const char* text) noexcept { return *this << std::string_view(text); }
  text_writer& operator<<(char c) noexcept { return *this << std::string_view(&c, 1); }
  template <std::integral T>
  text_writer& operator<<(T number) noexcept {
    if constexpr (std::signed_integral<T>) {
      if (number < 0) *this << '-';
      return decimal(number < 0 ? std::uint64_t{0} - static_cast<std::uint64_t>(number)
                                : static_cast<std::uint64_t>(number));
    } else {
      return decimal(number);
    }
  }
  // 0x and hexadecimal digits, at least `digits` of them.
  text_writer& hex(std::uint64_t number, int digits = 1) noexcept;
  text_writer& hex(const void* address) noexcept {
    return hex(reinterpret_cast<std::uintptr_t>(address));
  }

  void flush() noexcept;

  // Something is missing: the string found no memory.
  bool cut() const noexcept { return cut_; }

 private:
  text_writer& decimal(std::uint64_t number) noexcept;

  int fd_ = -1;
  std::string* to_ = nullptr;
  bool cut_ = false;
  std::size_t used_ = 0;
  char buffer_[1024];
};

// Writes all of it, without allocating or locking. What cannot be written is dropped.
void write_all(int fd, std::string_view text) noexcept;

// Whether some thread is at it, and perhaps waits for whoever reads what we write.
bool output_waits() noexcept;

}  // namespace runnel::base
