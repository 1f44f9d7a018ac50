#include "base/text_writer.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <new>

namespace runnel::base {

namespace {

constinit std::atomic<int> writing{0};

}  // namespace

bool output_waits() noexcept { return writing.load(std::memory_order_relaxed) != 0; }

void write_all(int fd, std::string_view text) noexcept {
  writing.fetch_add(1, std::memory_order_relaxed);
  while (!text.empty()) {
    ssize_t n = write(fd, text.data(), text.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      break;
    }
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  writing.fetch_sub(1, std::memory_order_relaxed);
}

text_writer& text_writer::operator<<(std::string_view text) noexcept {
  while (!text.empty()) {
    std::size_t n = std::min(text.size(), sizeof buffer_ - used_);
    std::memcpy(buffer_ + used_, text.data(), n);
    used_ += n;
    text.remove_prefix(n);
    if (used_ == sizeof buffer_) flush();
  }
  return *this;
}

text_writer& text_writer::decimal(std::uint64_t number) noexcept {
  char digits[20];
  char* at = digits + sizeof digits;
  do {
    *--at = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number != 0);
  return *this << std::string_view(at, static_cast<std::size_t>(digits + sizeof digits - at));
}

text_writer& text_writer::hex(std::uint64_t number, int digits) noexcept {
  char text[16];
  char* at = text + sizeof text;
  for (int i = 0; i < 16 && (number != 0 || i < digits); ++i) {
    *--at = "0123456789abcdef"[number % 16];
    number /= 16;
  }
  return *this << "0x" << std::string_view(at, static_cast<std::size_t>(text + sizeof text - at));
}

void text_writer::flush() noexcept {
  std::string_view text(buffer_, used_);
  used_ = 0;
  if (to_ == nullptr) {
    write_all(fd_, text);
    return;
  }
  try {
    to_->append(text);
  } catch (const std::bad_alloc&) {
    cut_ = true;  // a report that finds no memory
  }
}

}  // namespace runnel::base
