#pragma once
// A P's run queue: a ring with one owner, who adds at the tail and takes from the head, and any number of
// thieves, who take half from the head; and one slot in front, `runnext`.
//
// Follows the local run queue of Go's scheduler (runtime/proc.go: runqput, runqget, runqsteal).
//
// States of index i:  head <= i < tail: slot i % capacity holds an item nobody has taken.
// Invariants
//   tail - head <= capacity              always, as unsigned 32-bit differences
//   a CAS moved head from h past i       =>  its thread, and no other, has item i
//   runnext != null                      =>  only its owner may replace it, anybody may take it by CAS
// Who writes: tail_ and the slots: the owner (of the destination queue, in a theft). head_: everybody, by CAS.
// Pairings
//   tail_ release (push, steal)  ->  tail_ acquire (thief): the slots and what the items point at
//   head_ release CAS (pop by anyone)  ->  head_ acquire (push): the slot was read before it is reused
//   runnext_ release  ->  runnext_ acquire CAS: what the item points at
// A thief may read a slot while the owner reuses it: the slots are atomic, and its CAS on head_ then fails.

#include <atomic>
#include <cstdint>

namespace runnel::sched {

template <class T, class Sync, std::uint32_t Capacity = 256>
class run_queue {
  static_assert((Capacity & (Capacity - 1)) == 0);

 public:
  static constexpr std::uint32_t capacity = Capacity;

  // --- by the owner ---

  // False: full.
  bool push(T* item) noexcept {
    std::uint32_t h = head_.load(std::memory_order_acquire);
    std::uint32_t t = tail_.load(std::memory_order_relaxed);
    if (t - h >= Capacity) return false;
    slot(t).store(item, std::memory_order_relaxed);
    tail_.store(t + 1, std::memory_order_release);
    return true;
  }

  // Puts the item in front; returns the one that was there, for the caller to push.
  T* replace_next(T* item) noexcept {
    // Only the owner fills an empty slot, so a plain store will do there.
    if (runnext_.load(std::memory_order_relaxed) == nullptr) {
      runnext_.store(item, std::memory_order_release);
      return nullptr;
    }
    return runnext_.exchange(item, std::memory_order_acq_rel);
  }

  T* pop_next() noexcept {
    T* item = runnext_.load(std::memory_order_relaxed);
    if (item != nullptr &&
        !runnext_.compare_exchange_strong(item, nullptr, std::memory_order_acquire,
                                          std::memory_order_relaxed)) {
      return nullptr;  // a thief was faster; nobody but us could have filled it again
    }
    return item;
  }

  T* pop() noexcept {
    std::uint32_t h = head_.load(std::memory_order_acquire);
    for (;;) {
      std::uint32_t t = tail_.load(std::memory_order_relaxed);
      if (t == h) return nullptr;
      T* item = slot(h).load(std::memory_order_relaxed);
      if (head_.compare_exchange_weak(h, h + 1, std::memory_order_acq_rel,
                                      std::memory_order_acquire)) {
        return item;
      }
    }
  }

  // The same where nobody else can be at the queue: without a read-modify-write.
  T* pop_next_alone() noexcept {
    T* item = runnext_.load(std::memory_order_relaxed);
    if (item != nullptr) runnext_.store(nullptr, std::memory_order_relaxed);
    return item;
  }
  T* pop_alone() noexcept {
    std::uint32_t h = head_.load(std::memory_order_relaxed);
    if (h == tail_.load(std::memory_order_relaxed)) return nullptr;
    T* item = slot(h).load(std::memory_order_relaxed);
    head_.store(h + 1, std::memory_order_release);
    return item;
  }

  // The item that the pop() after `ahead` others would return, if no thief comes; for prefetching only.
  T* peek(std::uint32_t ahead) const noexcept {
    std::uint32_t h = head_.load(std::memory_order_relaxed);
    if (tail_.load(std::memory_order_relaxed) - h <= ahead) return nullptr;
    return slot(h + ahead).load(std::memory_order_relaxed);
  }

  // How many push() will certainly take.
  std::uint32_t room() const noexcept {
    return Capacity -
           (tail_.load(std::memory_order_relaxed) - head_.load(std::memory_order_acquire));
  }

  // Takes the older half of a full ring into `out` (room for Capacity / 2). 0: thieves made room.
  std::uint32_t pop_half(T** out) noexcept {
    std::uint32_t h = head_.load(std::memory_order_acquire);
    std::uint32_t t = tail_.load(std::memory_order_relaxed);
    std::uint32_t n = (t - h) / 2;
    if (n != Capacity / 2) return 0;
    for (std::uint32_t i = 0; i < n; ++i) out[i] = slot(h + i).load(std::memory_order_relaxed);
    if (!head_.compare_exchange_strong(h, h + n, std::memory_order_acq_rel,
                                       std::memory_order_relaxed)) {
      return 0;
    }
    return n;
  }

  // Steals half of `victim` into this queue, whose ring must be empty, and returns one of the stolen.
  T* steal_from(run_queue& victim) noexcept {
    std::uint32_t t = tail_.load(std::memory_order_relaxed);
    for (;;) {
      std::uint32_t h = victim.head_.load(std::memory_order_acquire);
      std::uint32_t vt = victim.tail_.load(std::memory_order_acquire);
      std::uint32_t n = vt - h;
      n -= n / 2;
      if (n == 0) return nullptr;
      if (n > Capacity / 2) continue;  // head and tail were read at different times
      for (std::uint32_t i = 0; i < n; ++i) {
        slot(t + i).store(victim.slot(h + i).load(std::memory_order_relaxed),
                          std::memory_order_relaxed);
      }
      if (!victim.head_.compare_exchange_strong(h, h + n, std::memory_order_acq_rel,
                                                std::memory_order_relaxed)) {
        continue;
      }
      --n;
      T* item = slot(t + n).load(std::memory_order_relaxed);
      if (n != 0) tail_.store(t + n, std::memory_order_release);
      return item;
    }
  }

  // --- by anybody ---

  std::uint32_t head() const noexcept { return head_.load(std::memory_order_relaxed); }
  T* look_next() const noexcept { return runnext_.load(std::memory_order_relaxed); }

  // Calls visit(item) for what is queued, runnext included; while nobody works on the queue.
  template <class Visit>
  void for_each(Visit visit) const {
    if (T* next = look_next()) visit(*next);
    std::uint32_t end = tail_.load(std::memory_order_relaxed);
    for (std::uint32_t i = head(); i != end; ++i) visit(*slot(i).load(std::memory_order_relaxed));
  }

  // Takes runnext if it still is `seen`.
  bool steal_next(T* seen) noexcept {
    return runnext_.compare_exchange_strong(seen, nullptr, std::memory_order_acquire,
                                            std::memory_order_relaxed);
  }

  // By the owner.
  bool ring_empty() const noexcept {
    return head_.load(std::memory_order_relaxed) == tail_.load(std::memory_order_relaxed);
  }

  bool empty() const noexcept { return size() == 0; }

  // Counts runnext too. Exact only when nobody works on the queue.
  std::uint32_t size() const noexcept {
    // Between the two loads of the ring a runnext may have been kicked into it: look again.
    for (;;) {
      std::uint32_t h = head_.load(std::memory_order_acquire);
      std::uint32_t t = tail_.load(std::memory_order_acquire);
      std::uint32_t next = runnext_.load(std::memory_order_acquire) != nullptr ? 1 : 0;
      if (tail_.load(std::memory_order_acquire) == t) return (t - h > Capacity ? 0 : t - h) + next;
    }
  }

 private:
  template <class U>
  using atomic = typename Sync::template atomic<U>;

  atomic<T*>& slot(std::uint32_t i) noexcept { return slots_[i % Capacity]; }
  const atomic<T*>& slot(std::uint32_t i) const noexcept { return slots_[i % Capacity]; }

  // Thieves write head_, the owner the rest: apart, so that a theft disturbs the owner once.
  alignas(64) atomic<std::uint32_t> head_{0};
  alignas(64) atomic<std::uint32_t> tail_{0};
  atomic<T*> runnext_{nullptr};
  atomic<T*> slots_[Capacity]{};
};

}  // namespace runnel::sched
