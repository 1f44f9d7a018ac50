#include "runnel/detail/wait_list.h"

#include "wait/waiter.h"

namespace runnel::detail {

void wait_list::push_back(wait::waiter& w) noexcept {
  if (head_ == nullptr) {
    w.next = w.prev = &w;
    head_ = &w;
    return;
  }
  w.next = head_;
  w.prev = head_->prev;
  w.prev->next = &w;
  head_->prev = &w;
}

void wait_list::push_front(wait::waiter& w) noexcept {
  push_back(w);
  head_ = &w;
}

void wait_list::remove(wait::waiter& w) noexcept {
  if (w.next == &w) {
    head_ = nullptr;
  } else {
    w.prev->next = w.next;
    w.next->prev = w.prev;
    if (head_ == &w) head_ = w.next;
  }
  w.next = w.prev = nullptr;
}

wait::waiter* wait_list::pop_live() noexcept {
  while (wait::waiter* w = head_) {
    remove(*w);
    if (!w->frozen()) return w;
  }
  return nullptr;
}

}  // namespace runnel::detail
