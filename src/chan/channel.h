#pragma once
// A channel without its element type: a lock, a ring, and two queues of waiters, as Go's hchan.
//
// Invariants, under the lock
//   somebody to be served among the receivers  =>  the ring is empty
//   somebody to be served among the senders    =>  the ring is full
//   closed                                     =>  both queues are empty, and stay so
//   `count` elements lie in the ring from `head` on; no other slot holds one
// To be served: in a queue, not frozen with its run, and not claimed for something else. Others may linger in the
// queues until somebody who looks for a partner drops them, or they remove themselves.
//
// Elements move under the lock, straight from stack to stack when a partner waits. Their move constructors are user
// code in the runtime zone: the M is pinned meanwhile (sched/switch.h), and one that waits, or uses a channel, is fatal.
// One that throws loses at most the element it was moving: a partner that has been claimed for it tries anew.
// No wake-up happens under the lock: a partner is taken out of its queue, and woken after.
// Lock order: channels by address (select); nothing else is taken under a channel's lock.
//
// Happens before (Go's memory model): a send before the receive of its value is done, the n-th receive before the
// (n + capacity)-th send is done, a close before a receive that answers closed: through the lock, or through the
// wake-up of the partner. Who looks without the lock (recv_would_wait) acquires what says that the ring, or the queue, has
// become empty, and then reads `closed`.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/biased_lock.h"
#include "runnel/detail/chan_core.h"
#include "sched/mail.h"
#include "sched/switch.h"
#include "wait/waiter.h"

namespace runnel::detail {

struct timer_core;

// First in, first out.
class chan_queue {
 public:
  // May be asked without the lock, for a hint.
  bool empty() const noexcept { return head_.load(std::memory_order_acquire) == nullptr; }
  void push_back(chan_node& n) noexcept;
  void drop_frozen() noexcept;         // those at the head whose run is over
  void remove(chan_node& n) noexcept;  // no effect if it has been taken out
  // The first that can be served, taken out and claimed; nullptr: none. Others before it are dropped.
  chan_node* pop_claimed() noexcept { return empty() ? nullptr : pop_claimed_slow(); }

 private:
  chan_node* pop_claimed_slow() noexcept;

  std::atomic<chan_node*> head_{nullptr};
  chan_node* tail_ = nullptr;
};

class channel {
 public:
  channel(const element_type& type, std::size_t capacity, char* ring) noexcept
      : plain_size_(type.move == nullptr ? type.size : 0),
        capacity_(capacity),
        ring_(ring),
        type_(type) {}
  ~channel();
  channel(const channel&) = delete;
  channel& operator=(const channel&) = delete;

  // By `self` in the runtime, or a plain thread (nullptr).
  // Returns a P to whose goroutines this one should better move, or nullptr (sched/mail.h).
  sched::p* lock(sched::m* self) noexcept {
    using lock_type = base::biased_lock<base::hardware>;
    if (self == nullptr) {
      lock_.acquire(lock_type::nobody_special);
      return nullptr;
    }
    if (self->moving) [[unlikely]]
      refuse_nested_use();
    std::uintptr_t other = lock_.acquire(reinterpret_cast<std::uintptr_t>(self->processor));
    if (other == 0 || other == lock_type::nobody_special || !contention_.note()) [[likely]]
      return nullptr;
    return reinterpret_cast<sched::p*>(other);
  }
  void unlock() noexcept { lock_.release(); }

  // Under the lock, what is most common: to and from the ring, of elements that are bytes, while nobody waits.
  bool put_plain_locked(const void* value) noexcept {
    std::size_t n = size();
    if (plain_size_ == 0 || n >= capacity_ || !receivers.empty() ||
        closed_.load(std::memory_order_relaxed)) {
      return false;
    }
    copy_plain(slot_at(head_ + n), value);
    count_.store(n + 1, std::memory_order_relaxed);
    return true;
  }
  bool get_plain_locked(void* into) noexcept {
    std::size_t n = size();
    if (plain_size_ == 0 || n == 0 || !senders.empty()) return false;
    copy_plain(into, ring_ + head_ * plain_size_);
    head_ = head_ + 1 == capacity_ ? 0 : head_ + 1;
    count_.store(n - 1, std::memory_order_release);
    return true;
  }

  // Under the lock, by `self` in the runtime: each tries once, without waiting. `partner` is to be woken after
  // unlocking, also if the move throws.
  chan_status try_send_locked(sched::m* self, void* value, chan_node*& partner);
  chan_status try_recv_locked(sched::m* self, void* into, chan_node*& partner);

  // Closes, and returns those who waited, linked by `next`, to be woken after unlocking. False: it was closed.
  bool close_locked(chan_node*& waited) noexcept;

  // A timer's channel (timer_channel.h).
  timer_core* timer() const noexcept { return timer_; }
  void attach_timer(timer_core* timer) noexcept { timer_ = timer; }
  void put_timer_value_locked(sched::m* self, void* value, chan_node*& partner) noexcept;
  bool drop_timer_value_locked() noexcept;
  bool somebody_waits_locked() noexcept {
    receivers.drop_frozen();
    return !receivers.empty();
  }

  // Without the lock: it was not possible at some moment of the call.
  bool send_would_wait() const noexcept {
    return !closed_.load(std::memory_order_acquire) && receivers.empty() &&
           count_.load(std::memory_order_relaxed) >= capacity_;
  }
  bool recv_would_wait() const noexcept {
    // Closed is read last: what is open now was open when it was seen to be empty.
    return count_.load(std::memory_order_acquire) == 0 && senders.empty() &&
           !closed_.load(std::memory_order_acquire) && (timer_ == nullptr || !timer_is_due());
  }

  std::size_t size() const noexcept { return count_.load(std::memory_order_relaxed); }
  std::size_t capacity() const noexcept { return capacity_; }
  const element_type& type() const noexcept { return type_; }
  void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  bool shared() const noexcept { return references_.load(std::memory_order_acquire) > 1; }
  // True: that was the last one.
  bool release() noexcept { return references_.fetch_sub(1, std::memory_order_acq_rel) == 1; }

 private:
  [[noreturn]] static void refuse_nested_use() noexcept;
  bool timer_is_due() const noexcept;
  void* slot(std::size_t i) const noexcept { return ring_ + i * type_.size; }
  void* slot_at(std::size_t i) const noexcept {
    return ring_ + (i >= capacity_ ? i - capacity_ : i) * plain_size_;
  }
  void copy_plain(void* to, const void* from) const noexcept {
    // A call to memcpy costs more than the copy.
    if (plain_size_ == sizeof(std::uint64_t)) {
      std::memcpy(to, from, sizeof(std::uint64_t));
    } else if (plain_size_ == sizeof(std::uint32_t)) {
      std::memcpy(to, from, sizeof(std::uint32_t));
    } else {
      std::memcpy(to, from, plain_size_);
    }
  }
  void move(sched::m* self, void* to, void* from) const;
  void take_head_locked(sched::m* self, void* into);
  void add_tail_locked(sched::m* self, void* value);
  void refill_locked(sched::m* self, chan_node*& partner) noexcept;

  base::biased_lock<base::hardware> lock_;
  std::atomic<bool> closed_{false};
  std::atomic<std::size_t> count_{0};
  std::size_t head_ = 0;
  const std::size_t plain_size_;  // of elements that are copied as bytes; 0: others

 public:
  chan_queue receivers;
  chan_queue senders;

 private:
  const std::size_t capacity_;
  char* const ring_;
  timer_core* timer_ = nullptr;
  sched::contention_watch contention_;
  const element_type& type_;
  std::atomic<std::uint32_t> references_{1};
};

// Wakes the partners that a try_… has handed out, linked by `next`, after unlocking.
inline void wake_partner(sched::m* self, chan_node* partner) noexcept {
  while (partner != nullptr) {
    chan_node* n = partner;
    partner = n->next;  // first: the waiter goes, and the node with it
    wait::wake(self, *n->who);
  }
}

}  // namespace runnel::detail
