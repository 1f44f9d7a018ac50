#include "platform/mapped_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

namespace runnel::platform {
namespace {

// Bytes of a file, one by one, through a small buffer.
class reader {
 public:
  explicit reader(const char* path) noexcept : fd_(open(path, O_RDONLY | O_CLOEXEC)) {}
  ~reader() {
    if (fd_ >= 0) close(fd_);
  }
  reader(const reader&) = delete;
  reader& operator=(const reader&) = delete;

  // -1: the end
  int next() noexcept {
    if (at_ == filled_) {
      ssize_t n;
      do n = fd_ < 0 ? 0 : read(fd_, buffer_.data(), buffer_.size());
      while (n < 0 && errno == EINTR);
      if (n <= 0) return -1;
      filled_ = static_cast<std::size_t>(n);
      at_ = 0;
    }
    return static_cast<unsigned char>(buffer_[at_++]);
  }

 private:
  int fd_;
  std::array<char, 1024> buffer_;
  std::size_t at_ = 0;
  std::size_t filled_ = 0;
};

struct mapping {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  std::uintptr_t file_offset = 0;
  std::array<char, 256> path{};
};

// Up to and with the character that is no digit, which is `last`.
std::uintptr_t read_hex(reader& in, int& last) noexcept {
  std::uintptr_t value = 0;
  for (;;) {
    last = in.next();
    if (last >= '0' && last <= '9') {
      value = value * 16 + static_cast<std::uintptr_t>(last - '0');
    } else if (last >= 'a' && last <= 'f') {
      value = value * 16 + static_cast<std::uintptr_t>(last - 'a' + 10);
    } else {
      return value;
    }
  }
}

// "begin-end perms offset device inode      path"
bool read_line(reader& in, mapping& line) noexcept {
  int last = 0;
  line.begin = read_hex(in, last);
  if (last != '-') return false;
  line.end = read_hex(in, last);
  do last = in.next();
  while (last != ' ' && last > 0);
  line.file_offset = read_hex(in, last);
  for (int fields = 0; fields < 2 && last > 0; ++fields) {
    do last = in.next();
    while (last != ' ' && last != '\n' && last > 0);
  }
  while (last == ' ') last = in.next();
  line.path = {};
  std::size_t size = 0;
  for (; last != '\n' && last > 0; last = in.next()) {
    if (size == line.path.size() - 1) {
      std::copy(line.path.begin() + 1, line.path.end(), line.path.begin());
      --size;
    }
    line.path[size++] = static_cast<char>(last);
  }
  return last > 0;
}

}  // namespace

bool find_mapped_file(std::uintptr_t address, mapped_file& found) noexcept {
  reader in("/proc/self/maps");
  mapping line;
  std::uintptr_t base = 0;
  found.path = {};
  while (read_line(in, line)) {
    bool file = line.path[0] == '/' || line.path[0] == '[';
    if (file && line.path != found.path && line.file_offset == 0) {
      found.path = line.path;
      base = line.begin;
    }
    if (address < line.begin || address >= line.end) continue;
    if (!file || line.path != found.path) return false;
    found.offset = address - base;
    return true;
  }
  return false;
}

}  // namespace runnel::platform
