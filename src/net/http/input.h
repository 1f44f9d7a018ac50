#pragma once
// What has arrived on a connection and is not used up.
//
// [floor, begin) may be overwritten, [begin, end) is pending. Below the floor lies the head of the message under way, to
// which views point: it stays where it is until compact().

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "runnel/net/conn.h"

namespace runnel::http {

class input {
 public:
  explicit input(net::conn c) noexcept : conn_(std::move(c)) {}

  std::string_view pending() const noexcept { return {data_.get() + begin_, end_ - begin_}; }
  void consume(std::size_t n) noexcept { begin_ += n; }
  // What was consumed is a head, to be kept.
  void keep() noexcept { floor_ = begin_; }

  // The message is done with: what is pending moves to the front, and memory beyond `size` is given back.
  void compact(std::size_t size);
  // Room for at least n bytes besides what is kept. Moves everything: no views may exist.
  void reserve(std::size_t n);
  std::size_t room() const noexcept { return size_ - floor_ - (end_ - begin_); }

  // Reads once, into the room, which must not be 0. 0: the end of the stream.
  result<std::size_t> fill();

  const net::conn& connection() const noexcept { return conn_; }

 private:
  net::conn conn_;
  std::unique_ptr<char[]> data_;
  std::size_t size_ = 0;
  std::size_t floor_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace runnel::http
