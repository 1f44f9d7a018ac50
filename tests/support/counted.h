#pragma once
// Elements for channels that count what becomes of them, and complain if they are treated as bytes.

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <stdexcept>
#include <utility>

namespace test {

struct broken_move : std::runtime_error {
  broken_move() : std::runtime_error("moved once too often") {}
};

// Holds a number, which leaves it when it is moved from. A fuse lets a later move throw: with `fuse` k > 0, the k-th
// move of the value throws before anything has happened, and those that follow do not, unless `forever`.
class counted {
 public:
  static constexpr int gone = -1;

  explicit counted(int value, int fuse = 0, bool forever = false)
      : value_(value), fuse_(fuse), forever_(forever), self_(this) {
    ++alive_;
  }
  counted(counted&& from) : value_(from.value_), self_(this) {
    if (from.fuse_ == 1) {
      if (!from.forever_) from.fuse_ = 0;
      throw broken_move();
    }
    if (from.fuse_ > 1) --from.fuse_;
    fuse_ = from.fuse_;
    forever_ = from.forever_;
    from.check();
    from.value_ = gone;
    ++alive_;
    ++moves_;
  }
  counted& operator=(counted&& from) {
    check();
    from.check();
    value_ = std::exchange(from.value_, gone);
    fuse_ = std::exchange(from.fuse_, 0);
    return *this;
  }
  ~counted() {
    check();
    self_ = nullptr;
    --alive_;
  }

  int value() const {
    check();
    return value_;
  }

  static long alive() { return alive_; }
  static long moves() { return moves_; }

 private:
  void check() const {
    if (self_ != this) wrong_ = true;
  }
  friend class no_counted_left;

  static inline std::atomic<long> alive_{0}, moves_{0};
  static inline std::atomic<bool> wrong_{false};

  int value_;
  int fuse_ = 0;
  bool forever_ = false;
  counted* self_;
};

// While it lives, every counted that is constructed must be destroyed, once, where it was constructed.
class no_counted_left {
 public:
  no_counted_left() : before_(counted::alive_) { counted::wrong_ = false; }
  ~no_counted_left() {
    EXPECT_EQ(counted::alive_, before_) << "constructed more often than destroyed, or less";
    EXPECT_FALSE(counted::wrong_) << "used where none was constructed";
  }

 private:
  long before_;
};

}  // namespace test
