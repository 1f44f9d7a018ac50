// Reads a file as text that is ready to be counted.
//
// A word is a maximal run of ASCII letters, taken as lower case, and of bytes from 0x80 on, so
// that words in UTF-8 stay whole. Every other byte separates, NUL too.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace wordfreq {

// A run of more bytes is not a word.
inline constexpr std::size_t word_bytes_max = 64;

// How far behind a word_chunk may be read.
inline constexpr std::size_t readable_behind = 64;

// Some words of a file, all of them whole: letters in lower case, with one or more NULs behind
// every word and nothing else. A run that is too long for a word may be shorter than in the file,
// but is still too long.
struct word_chunk {
  const char* begin = nullptr;
  const char* end = nullptr;
  std::size_t bytes = 0;  // of the file that were read for it
  bool last = false;
};

// One file at a time. The buffer is part of it, so that it can stand on a goroutine's stack.
class text_reader {
 public:
  text_reader() = default;
  text_reader(const text_reader&) = delete;
  text_reader& operator=(const text_reader&) = delete;
  ~text_reader();

  // Opens a regular file and nothing else; what the walk saw here may have become anything. Answers
  // are errno values, 0 for success.
  int open(const std::string& path);

  // Reads on, until `chunk` is the last. It is valid until the next call. Where reading would have
  // to wait for a device, at_once reads nothing and returns EAGAIN.
  enum class mode { at_once, wait };
  int next(word_chunk& chunk, mode how);

 private:
  int read(mode how, std::size_t& got);

  static constexpr std::size_t chunk_bytes = 32 << 10;

  // Where the file is read to. Before it there is room for what is unfinished.
  char* text() { return buffer_.data() + 2 * word_bytes_max; }

  int fd_ = -1;
  std::uint64_t size_ = 0;  // of the file when it was opened; 0 also of one that does not tell
  std::uint64_t offset_ = 0;
  // What the last chunk left to the next one.
  const char* unfinished_text_ = nullptr;
  std::size_t unfinished_ = 0;
  std::array<char, 2 * word_bytes_max + chunk_bytes + readable_behind> buffer_;
};

}  // namespace wordfreq
