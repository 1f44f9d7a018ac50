// A connection whose other end is a string.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

#include "runnel/net/conn.h"

namespace runnel::fuzz {

class memory_stream final : public net::detail::stream {
 public:
  // Gives at most `piece` bytes to a read.
  memory_stream(std::string_view from, std::size_t piece) : left_(from), piece_(piece) {}

  std::string written;

 private:
  result<std::size_t> read(std::span<std::byte> into) override {
    std::size_t n = std::min({into.size(), left_.size(), piece_});
    std::memcpy(into.data(), left_.data(), n);
    left_.remove_prefix(n);
    return n;
  }
  result<std::size_t> write(std::span<const std::span<const std::byte>> parts) override {
    std::size_t n = 0;
    for (auto part : parts) {
      written.append(reinterpret_cast<const char*>(part.data()), part.size());
      n += part.size();
    }
    return n;
  }
  result<std::uint64_t> send_file(int, std::uint64_t, std::uint64_t) override { return 0; }
  std::error_code close_write() override { return {}; }
  std::error_code close() override { return {}; }
  void set_read_deadline(std::int64_t) override {}
  void set_write_deadline(std::int64_t) override {}
  net::endpoint local() const override { return {}; }
  net::endpoint remote() const override { return {}; }
  int fd() const noexcept override { return -1; }

  std::string_view left_;
  std::size_t piece_;
};

}  // namespace runnel::fuzz
