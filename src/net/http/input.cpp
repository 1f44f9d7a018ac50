#include "net/http/input.h"

#include <algorithm>
#include <cstring>

namespace runnel::http {

void input::compact(std::size_t size) {
  std::size_t left = end_ - begin_;
  if (size_ > size && left <= size) {
    auto smaller = std::make_unique_for_overwrite<char[]>(size);
    std::memcpy(smaller.get(), data_.get() + begin_, left);
    data_ = std::move(smaller);
    size_ = size;
  } else if (left != 0 && begin_ != 0) {
    std::memmove(data_.get(), data_.get() + begin_, left);
  }
  floor_ = begin_ = 0;
  end_ = left;
}

void input::reserve(std::size_t n) {
  if (size_ - floor_ >= n && data_ != nullptr) return;
  auto larger = std::make_unique_for_overwrite<char[]>(floor_ + n);
  if (end_ != 0) std::memcpy(larger.get(), data_.get(), end_);
  data_ = std::move(larger);
  size_ = floor_ + n;
}

result<std::size_t> input::fill() {
  if (begin_ == end_) {
    begin_ = end_ = floor_;
  } else if (end_ == size_) {
    std::memmove(data_.get() + floor_, data_.get() + begin_, end_ - begin_);
    end_ -= begin_ - floor_;
    begin_ = floor_;
  }
  auto n = conn_.read(std::span(data_.get() + end_, size_ - end_));
  if (n) end_ += *n;
  return n;
}

}  // namespace runnel::http
