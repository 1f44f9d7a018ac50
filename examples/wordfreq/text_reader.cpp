#include "text_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace wordfreq {

namespace {

// Makes letters lower case and everything that separates words NUL. Works in whole steps and so
// may go over the end: steps of fixed length are what compilers turn into vector instructions.
void normalize(char* text, std::size_t bytes) {
  constexpr std::size_t step = 32;
  static_assert(step <= readable_behind);
  for (char* p = text; p < text + bytes; p += step) {
    for (std::size_t i = 0; i < step; ++i) {
      const auto c = static_cast<unsigned char>(p[i]);
      const auto lower = static_cast<unsigned char>(c | 0x20);
      const bool letter = static_cast<unsigned char>(lower - 'a') < 26;
      const bool high = c >= 0x80;
      p[i] = static_cast<char>(letter ? lower : high ? c : 0);
    }
  }
}

}  // namespace

text_reader::~text_reader() {
  if (fd_ >= 0) close(fd_);
}

int text_reader::open(const std::string& path) {
  // O_NONBLOCK: should it be a pipe by now, do not wait for a writer.
  do {
    fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  } while (fd_ < 0 && errno == EINTR);
  if (fd_ < 0) return errno;
  struct stat status;
  if (fstat(fd_, &status) != 0) return errno;
  if (!S_ISREG(status.st_mode)) return EINVAL;
  size_ = static_cast<std::uint64_t>(status.st_size);
  return 0;
}

int text_reader::read(mode how, std::size_t& got) {
  iovec place{text(), chunk_bytes};
  constexpr off_t go_on = -1;
  for (;;) {
    const ssize_t n = preadv2(fd_, &place, 1, go_on, how == mode::at_once ? RWF_NOWAIT : 0);
    if (n >= 0) {
      got = static_cast<std::size_t>(n);
      return 0;
    }
    // Not every file system knows how to read at once.
    if (errno == EOPNOTSUPP && how == mode::at_once) return EAGAIN;
    if (errno != EINTR) return errno;
  }
}

int text_reader::next(word_chunk& chunk, mode how) {
  if (unfinished_ != 0) std::memmove(text() - unfinished_, unfinished_text_, unfinished_);
  std::size_t got = 0;
  if (const int error = read(how, got); error != 0) return error;

  chunk.bytes = got;
  offset_ += chunk.bytes;
  // Knowing the size spares most files the read that finds nothing more.
  chunk.last = got == 0 || (size_ != 0 && offset_ >= size_);
  normalize(text(), chunk.bytes);
  char* const end = text() + got;
  std::memset(end, 0, readable_behind);
  chunk.begin = text() - unfinished_;
  chunk.end = end;
  if (chunk.last) return 0;

  // The last run may go on, so it is left to the next chunk; of one that is too long already,
  // enough to be too long again.
  while (chunk.end != chunk.begin && chunk.end[-1] != '\0') --chunk.end;
  unfinished_text_ = chunk.end;
  unfinished_ = std::min(static_cast<std::size_t>(end - chunk.end), word_bytes_max + 1);
  return 0;
}

}  // namespace wordfreq
