#pragma once
// The list of those who wait for an object. Not for programs.

namespace runnel {
namespace wait {
struct waiter;
}

namespace detail {

// First in, first out, through the waiters' own links. The object that contains it guards it.
class wait_list {
 public:
  bool empty() const noexcept { return head_ == nullptr; }
  void push_back(wait::waiter& w) noexcept;
  void push_front(wait::waiter& w) noexcept;
  void remove(wait::waiter& w) noexcept;
  // The first whose run is not over; those before it are dropped.
  wait::waiter* pop_live() noexcept;

 private:
  wait::waiter* head_ = nullptr;
};

}  // namespace detail
}  // namespace runnel
