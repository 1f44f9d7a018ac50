#pragma once
// Hazard pointers: how a reader keeps what it reads alive without writing to shared memory. Not for programs.
//
// Invariants and pairings: src/sync/hazard.cpp.

#include <atomic>
#include <vector>

namespace runnel::detail {

// Two objects that its holder reads. A record belongs to whoever took it, goroutine or thread, and stays with a
// goroutine that is continued on another thread.
struct alignas(64) hazard_record {
  std::atomic<const void*> held[2]{nullptr, nullptr};
  bool full_fences = false;  // constant
  hazard_record* next_all = nullptr;
  hazard_record* next_free = nullptr;
};

hazard_record* take_hazard();  // throws std::bad_alloc
void give_hazard(hazard_record* r) noexcept;
void full_fence() noexcept;

// A record for the time of a scope.
class hazard_guard {
 public:
  hazard_guard() : record_(take_hazard()) {}
  ~hazard_guard() {
    // What was read precedes the release; the reclaimer acquires.
    record_->held[0].store(nullptr, std::memory_order_release);
    record_->held[1].store(nullptr, std::memory_order_release);
    give_hazard(record_);
  }
  hazard_guard(const hazard_guard&) = delete;
  hazard_guard& operator=(const hazard_guard&) = delete;

  // Announces `p`. It is safe to read once the caller has seen, after this, that it has not been unlinked.
  void announce(int which, const void* p) noexcept {
    record_->held[which].store(p, std::memory_order_release);
    if (record_->full_fences) [[unlikely]]
      full_fence();
    else
      std::atomic_signal_fence(std::memory_order_seq_cst);
  }

 private:
  hazard_record* record_;
};

// Everything that somebody holds, sorted. Called after unlinking: what is not in it may be freed. Costs a system
// call. Throws std::bad_alloc.
std::vector<const void*> held_hazards();

}  // namespace runnel::detail
