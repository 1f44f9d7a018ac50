// after_func: a timer that starts a goroutine.
//
// Invariants, under the lock
//   in a heap (node.home is set)  =>  when != never, and the heap holds a reference
//   in flight: claimed, under the heap's lock, and not yet run; then the callback holds that reference. Set before the
//   node leaves the heap, so who finds node.home null sees it
// When a run ends, heaps are emptied; their references go to the list of what is dropped.
// Lock order: this lock -> timer heap.

#include <atomic>
#include <functional>
#include <new>
#include <utility>

#include "base/check.h"
#include "base/spin_lock.h"
#include "platform/clock.h"
#include "runnel/detail/timer.h"
#include "runnel/go.h"
#include "sched/switch.h"
#include "sched/timer_callback.h"

namespace runnel::detail {

class func_timer {
 public:
  func_timer(std::move_only_function<void()> f, void* creator_pc)
      : creator_pc_(creator_pc), f_(std::move(f)) {
    if (sched::m* self = sched::current_m()) {
      creator_ = self->current->id.load(std::memory_order_relaxed);
    }
    callback_.node.claim = [](poll::timer_node& node) noexcept {
      auto& me = reinterpret_cast<func_timer&>(node);
      me.in_flight_.store(true, std::memory_order_relaxed);
      return sched::token_of(me.callback_);
    };
    callback_.call = [](sched::m& self, sched::timer_callback& it) noexcept {
      reinterpret_cast<func_timer&>(it).fire(self);
    };
    callback_.node.owns_itself = true;
  }

  bool set(std::int64_t when) noexcept {
    sched::m* self = sched::enter();
    lock_.acquire();
    bool reference = sched::remove_callback(callback_);
    bool in_flight = !reference && in_flight_.load(std::memory_order_relaxed);
    bool pending = when_ != platform::time_never && (reference || in_flight);
    when_ = when;
    if (when != platform::time_never && !in_flight) {
      if (!reference) retain();
      reference = false;
      sched::add_callback(self, callback_, when_);
    }
    lock_.release();
    if (self != nullptr) sched::leave(self);
    if (reference) release();
    return pending;
  }

  void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    // With its last handle goes one that its run has forgotten.
    bool forgotten = callback_.dropped.load(std::memory_order_acquire);
    std::uint32_t before = references_.fetch_sub(1, std::memory_order_acq_rel);
    if (before == 1 || (before == 2 && forgotten && sched::take_dropped(callback_))) delete this;
  }

 private:
  void fire(sched::m& self) noexcept {
    lock_.acquire();
    in_flight_.store(false, std::memory_order_relaxed);
    bool due = when_ <= platform::nanotime();
    if (due) {
      when_ = platform::time_never;
    } else if (when_ != platform::time_never) {
      sched::add_callback(&self, callback_,
                          when_);  // set anew while we were on the way; our reference goes with it
      lock_.release();
      return;
    }
    lock_.release();
    if (!due) {
      // Stopped. The last reference must not go here: the function's destructor is user code.
      start([](func_timer&) {});
      return;
    }
    start([](func_timer& t) { t.f_(); });
  }

  // On a goroutine, with our reference.
  template <class F>
  void start(F what) noexcept {
    struct reference {
      func_timer* t;
      explicit reference(func_timer* owned) noexcept : t(owned) {}
      reference(reference&& other) noexcept : t(std::exchange(other.t, nullptr)) {}
      ~reference() {
        if (t != nullptr) t->release();
      }
    };
    auto run = [mine = reference(this), what] { what(*mine.t); };
    using closure = goroutine_closure<decltype(run)>;
    spawn_slot slot;
    try {
      slot = spawn_prepare(sizeof(closure), alignof(closure));
    } catch (const std::bad_alloc&) {
      base::fatal("out of memory for the goroutine of a timer");
    }
    ::new (slot.closure) closure(std::move(run));
    // Whoever called after_func has created it, not the scheduling loop.
    static_cast<sched::task*>(slot.record)->creator = creator_;
    spawn_commit(slot, &closure::invoke, nullptr, creator_pc_);
  }

  sched::timer_callback callback_;  // first: we are found from it
  base::spin_lock lock_;
  std::int64_t when_ = platform::time_never;
  std::atomic<bool> in_flight_{false};
  std::atomic<std::uint32_t> references_{1};
  std::uint64_t creator_ = 0;
  void* const creator_pc_;
  std::move_only_function<void()> f_;
};

func_timer* func_timer_start(std::int64_t when, std::move_only_function<void()> f,
                             void* creator_pc) {
  auto* made = new func_timer(std::move(f), creator_pc);
  made->set(when);
  return made;
}

bool func_timer_set(func_timer* t, std::int64_t when) noexcept { return t->set(when); }
void func_timer_retain(func_timer* t) noexcept { t->retain(); }
void func_timer_release(func_timer* t) noexcept { t->release(); }

}  // namespace runnel::detail
