#pragma once
// A queue of objects linked through their own `next` member: first in, first out, no allocation.
// The caller locks. An object is in at most one queue at a time.

#include <cstddef>

namespace runnel::base {

template <class T>
class intrusive_queue {
 public:
  bool empty() const noexcept { return head_ == nullptr; }
  std::size_t size() const noexcept { return size_; }

  void push_back(T* item) noexcept {
    item->next = nullptr;
    if (tail_ == nullptr) {
      head_ = item;
    } else {
      tail_->next = item;
    }
    tail_ = item;
    ++size_;
  }
  void push_front(T* item) noexcept {
    item->next = head_;
    head_ = item;
    if (tail_ == nullptr) tail_ = item;
    ++size_;
  }
  T* pop_front() noexcept {
    T* item = head_;
    if (item == nullptr) return nullptr;
    head_ = static_cast<T*>(item->next);
    if (head_ == nullptr) tail_ = nullptr;
    item->next = nullptr;
    --size_;
    return item;
  }
  // Takes all of `other`, behind what is here.
  void append(intrusive_queue& other) noexcept {
    if (other.empty()) return;
    if (tail_ == nullptr) {
      head_ = other.head_;
    } else {
      tail_->next = other.head_;
    }
    tail_ = other.tail_;
    size_ += other.size_;
    other = intrusive_queue{};
  }
  // For looking only.
  template <class Visit>
  void for_each(Visit visit) const {
    for (T* item = head_; item != nullptr; item = static_cast<T*>(item->next)) visit(*item);
  }

 private:
  T* head_ = nullptr;
  T* tail_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace runnel::base
