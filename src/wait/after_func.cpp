// after_func: a timer that starts a goroutine.
//
// Invariants, under the lock
//   when != never  =>  queued, and the heap, or the callback in flight, holds a reference
//   queued         =>  the callback is in a heap, or in flight: claimed and not yet run
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
  explicit func_timer(std::move_only_function<void()> f) : f_(std::move(f)) {
    callback_.node.claim = [](poll::timer_node& node) noexcept {
      return sched::token_of(reinterpret_cast<sched::timer_callback&>(node));
    };
    callback_.call = [](sched::m& self, sched::timer_callback& it) noexcept {
      reinterpret_cast<func_timer&>(it).fire(self);
    };
  }

  bool set(std::int64_t when) noexcept {
    sched::m* self = sched::enter();
    lock_.acquire();
    bool dropped = false;
    // When the run ended, its timers were forgotten.
    bool forgotten = queued_ && queued_in_ != sched::current_epoch();
    bool pending = when_ != platform::time_never && !forgotten;
    when_ = when;
    if (queued_ && (forgotten || sched::remove_callback(callback_))) {
      queued_ = false;
      dropped = true;
    }
    if (when != platform::time_never && !queued_) {
      if (!dropped) retain();
      dropped = false;
      add_locked(self);
    }
    lock_.release();
    if (self != nullptr) sched::leave(self);
    if (dropped) release();
    return pending;
  }

  void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

 private:
  void add_locked(sched::m* self) noexcept {
    queued_ = true;
    queued_in_ = sched::current_epoch();
    sched::add_callback(self, callback_, when_);
  }

  void fire(sched::m& self) noexcept {
    lock_.acquire();
    queued_ = false;
    bool due = when_ <= platform::nanotime();
    if (due) {
      when_ = platform::time_never;
    } else if (when_ != platform::time_never) {
      add_locked(&self);  // set anew while we were on the way; our reference goes with it
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
    try {
      runnel::go([mine = reference(this), what] { what(*mine.t); });
    } catch (const std::bad_alloc&) {
      base::fatal("out of memory for the goroutine of a timer");
    }
  }

  sched::timer_callback callback_;  // first: we are found from it
  base::spin_lock lock_;
  std::int64_t when_ = platform::time_never;
  bool queued_ = false;
  std::uint32_t queued_in_ = 0;
  std::atomic<std::uint32_t> references_{1};
  std::move_only_function<void()> f_;
};

func_timer* func_timer_start(std::int64_t when, std::move_only_function<void()> f) {
  auto* made = new func_timer(std::move(f));
  made->set(when);
  return made;
}

bool func_timer_set(func_timer* t, std::int64_t when) noexcept { return t->set(when); }
void func_timer_retain(func_timer* t) noexcept { t->retain(); }
void func_timer_release(func_timer* t) noexcept { t->release(); }

}  // namespace runnel::detail
