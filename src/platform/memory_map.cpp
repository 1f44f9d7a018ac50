#include "platform/memory_map.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "platform/address_space.h"

namespace runnel::platform {
namespace {

// One line of /proc/self/maps: "begin-end perms offset device inode      path".
struct line_parser {
  std::string_view rest;

  std::string_view word() noexcept {
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    std::string_view found = rest.substr(0, rest.find(' '));
    rest.remove_prefix(found.size());
    return found;
  }
};

std::uintptr_t from_hex(std::string_view digits) noexcept {
  std::uintptr_t value = 0;
  for (char c : digits) {
    value = value * 16 + static_cast<std::uintptr_t>(c <= '9' ? c - '0' : c - 'a' + 10);
  }
  return value;
}

bool parse(std::string_view text, mapping& out) noexcept {
  line_parser line{text};
  std::string_view range = line.word(), permissions = line.word();
  line.word();
  line.word();
  std::string_view inode = line.word(), path = line.word();
  std::size_t dash = range.find('-');
  if (dash == range.npos || permissions.size() < 4 || inode.empty()) return false;
  bool kernels = path.starts_with("[v");  // vdso, vvar, vsyscall
  out = {.begin = from_hex(range.substr(0, dash)),
         .end = from_hex(range.substr(dash + 1)),
         .readable = permissions[0] == 'r',
         .writable = permissions[1] == 'w',
         .shared = permissions[3] == 's',
         .anonymous = inode == "0" && !kernels,
         .heap = path == "[heap]",
         .main_stack = path == "[stack]",
         .device = kernels || (path.starts_with("/dev/") && !path.starts_with("/dev/shm/") &&
                               !path.starts_with("/dev/zero"))};
  return true;
}

ssize_t read_some(int file, void* to, std::size_t size) noexcept {
  ssize_t n;
  do n = read(file, to, size);
  while (n < 0 && errno == EINTR);
  return n;
}

}  // namespace

bool mapping_list::read() noexcept {
  constexpr std::size_t entries_max = 1 << 20;
  constexpr std::size_t room = 64 << 10;  // the longest path, and then some
  if (!entries_.reserve(entries_max) || !buffer_.resize(room)) return false;
  int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  std::size_t held = 0;
  bool good = true;
  while (good) {
    ssize_t n = read_some(file, buffer_.begin() + held, room - held);
    if (n <= 0) {
      good = n == 0 && held == 0;
      break;
    }
    held += static_cast<std::size_t>(n);
    std::string_view text(buffer_.begin(), held);
    for (std::size_t end; good && (end = text.find('\n')) != text.npos;) {
      mapping found;
      good = entries_.size() < entries_max && parse(text.substr(0, end), found) &&
             entries_.push(found);
      text.remove_prefix(end + 1);
    }
    good = good && text.size() < room;
    std::copy(text.begin(), text.end(), buffer_.begin());
    held = text.size();
  }
  close(file);
  return good;
}

std::size_t read_memory(std::uintptr_t from, void* to, std::size_t size) noexcept {
  iovec here{to, size}, there{reinterpret_cast<void*>(from), size};
  ssize_t n = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
  if (n < 0 && (errno == ENOSYS || errno == EPERM)) {
    int file = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    n = pread(file, to, size, static_cast<off_t>(from));
    close(file);
  }
  return n > 0 ? static_cast<std::size_t>(n) : 0;
}

std::uintptr_t read_word(std::uintptr_t from) noexcept {
  std::uintptr_t word = 0;
  return read_memory(from, &word, sizeof word) == sizeof word ? word : 0;
}

resident_pages::resident_pages() noexcept
    : file_(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)), page_(page_size()) {
  buffer_.resize(std::size_t{8} << 10);
}

resident_pages::~resident_pages() {
  if (file_ >= 0) close(file_);
}

std::size_t resident_pages::fill(std::uintptr_t begin, std::uintptr_t end) noexcept {
  std::size_t pages = std::min((end - begin + page_ - 1) / page_, buffer_.size());
  ssize_t n = pread(file_, buffer_.begin(), pages * sizeof(std::uint64_t),
                    static_cast<off_t>(begin / page_ * sizeof(std::uint64_t)));
  return n > 0 ? static_cast<std::size_t>(n) / sizeof(std::uint64_t) : 0;
}

}  // namespace runnel::platform
