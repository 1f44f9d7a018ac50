#pragma once
// Asks the kernel whether memory may be read or written, without touching it: it answers EFAULT.

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace test {

class memory_probe {
 public:
  memory_probe() {
    if (pipe(ends_) != 0) ends_[0] = ends_[1] = -1;
  }
  ~memory_probe() {
    close(ends_[0]);
    close(ends_[1]);
  }
  memory_probe(const memory_probe&) = delete;
  memory_probe& operator=(const memory_probe&) = delete;

  bool readable(const void* address) {
    char byte;
    return write(ends_[1], address, 1) == 1 && read(ends_[0], &byte, 1) == 1;
  }
  // Writes a zero if it may.
  bool writable(void* address) {
    char zero = 0, byte;
    if (write(ends_[1], &zero, 1) != 1) return false;
    if (read(ends_[0], address, 1) == 1) return true;
    return read(ends_[0], &byte, 1) != 1;  // empties the pipe: false
  }

 private:
  int ends_[2];
};

// How many pages of the range are in memory.
inline std::size_t resident_pages(void* begin, std::size_t size) {
  std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> pages(size / page);
  if (mincore(begin, size, pages.data()) != 0) return SIZE_MAX;
  std::size_t count = 0;
  for (unsigned char p : pages) count += p & 1;
  return count;
}

}  // namespace test
