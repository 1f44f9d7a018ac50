#pragma once
// Takes the body of a message out of an input: by its length, in chunks, or until the stream ends.
//
// Chunks are read strictly: CRLF after every size and after every chunk, sizes of at most 15 digits, few extensions. What is lenient
// here lets one request hide in another.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "net/http/input.h"
#include "runnel/http/error.h"
#include "runnel/http/headers.h"

namespace runnel::http {

class body_reader {
 public:
  explicit body_reader(input& from) noexcept : in_(from) {}

  void start_empty() noexcept { start(framing::length, 0, 0); }
  void start_length(std::uint64_t length, std::uint64_t limit) noexcept {
    start(framing::length, length, limit);
  }
  void start_chunked(std::uint64_t limit) noexcept { start(framing::chunked, 0, limit); }
  void start_until_end(std::uint64_t limit) noexcept { start(framing::until_end, 0, limit); }

  // At least one byte; 0: the end. errc::too_large, malformed or ended_early, or why the connection failed; for good.
  result<std::size_t> read(std::span<char> into);
  bool done() const noexcept { return done_; }
  std::error_code failed() const noexcept { return failed_; }

  // Of a length that is known.
  bool has_length() const noexcept { return framing_ == framing::length; }
  std::uint64_t left() const noexcept { return left_; }
  // The whole rest, without copying, where it has a length and lies in the input.
  std::optional<std::string_view> take_pending() noexcept;

  const headers& trailers() const noexcept { return trailers_; }

 private:
  enum class framing { length, chunked, until_end };
  enum class part { size, data, data_end, trailer };

  void start(framing how, std::uint64_t length, std::uint64_t limit) noexcept;
  std::unexpected<std::error_code> fail(std::error_code why) noexcept;
  result<std::size_t> read_some(std::span<char> into, std::uint64_t most);
  // A line without its CRLF, taken out of the input.
  result<std::string_view> read_line();
  std::error_code more();
  std::error_code to_next_chunk();
  std::error_code read_size();
  std::error_code read_trailers();

  input& in_;
  framing framing_ = framing::length;
  part part_ = part::size;
  bool done_ = true;
  std::uint64_t left_ = 0;  // of the body, or of the chunk
  std::uint64_t total_ = 0;
  std::uint64_t limit_ = 0;
  std::size_t overhead_ = 0;
  std::error_code failed_;
  headers trailers_;
};

}  // namespace runnel::http
