// semaphore::acquire with a context: waits for the units or for the cancellation.
//
// The wait ends by release(), which claims the waiter under the semaphore's guard, or by the cancellation, which claims
// it through a watch: an object of its own, because a cancellation may still be on its way to it when the waiter has
// long gone with its units.
//
// Invariants, under the watch's lock
//   who != nullptr   =>  the waiter is off its stack, and has not been taken out of the line by itself
//   cancelled        =>  the waiter was claimed by the cancellation, or had been claimed, or will be when it is off its
//                        stack
// Lock order: none is taken under the watch's lock.

#include <atomic>

#include "base/spin_lock.h"
#include "lang/cancel_node.h"
#include "runnel/context.h"
#include "runnel/select.h"
#include "sync/semaphore_internals.h"
#include "wait/waiter.h"

namespace runnel {
namespace {

class watch final : public detail::cancel_child {
 public:
  // Of the waiter: off its stack, and visible to the cancellation from now on.
  void arm(wait::waiter& w) noexcept {
    lock_.acquire();
    who_ = &w;
    bool claimed = cancelled_ && end_wait_locked();
    lock_.release();
    if (claimed) wait::wake(sched::current_m(), w);  // still inside the runtime
  }
  void disarm() noexcept {
    lock_.acquire();
    who_ = nullptr;
    lock_.release();
  }

  void cancelled() noexcept override {
    sched::m* self = sched::enter();
    lock_.acquire();
    cancelled_ = true;
    wait::waiter* w = who_;
    bool claimed = w != nullptr && end_wait_locked();
    lock_.release();
    if (claimed) wait::wake(self, *w);
    if (self != nullptr) sched::leave(self);
  }
  void unkeep() noexcept override { release(); }
  void release() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

 private:
  bool end_wait_locked() noexcept {
    auto pending = wait::outcome::pending;
    return who_->how.compare_exchange_strong(pending, wait::outcome::timed_out,
                                             std::memory_order_acq_rel);
  }

  base::spin_lock lock_;
  bool cancelled_ = false;
  wait::waiter* who_ = nullptr;
  std::atomic<int> references_{2};  // the list's and the waiter's
};

struct release_and_arm {
  semaphore* s;
  wait::waiter* w;
  watch* seen_by;

  static void call(void* raw) noexcept {
    release_and_arm now = *static_cast<release_and_arm*>(raw);
    // In this order: one that the cancellation wakes needs the guard for stepping out of the line, so neither it nor
    // the semaphore can go before we are done; one that release() wakes is seen only once the guard is free.
    now.seen_by->arm(*now.w);
    semaphore_internals::release_guard(now.s);
  }
};

}  // namespace

std::error_code semaphore::acquire(const context& ctx, std::size_t n) {
  if (std::error_code ended = ctx.err()) return ended;
  if (take_free(n)) return {};
  detail::cancel_node* scope = ctx.node() != nullptr ? ctx.node()->scope() : nullptr;
  if (n > capacity_) {
    select(recv(ctx.done()));
    return ctx.err();
  }
  if (scope == nullptr) {
    acquire(n);
    return {};
  }
  auto* seen_by = new watch;
  if (!scope->link(*seen_by)) {
    seen_by->release();
    seen_by->release();
    return ctx.err();
  }
  sched::m* self = sched::enter();
  semaphore_internals::request me(self, n);
  bool taken = semaphore_internals::take_or_line_up(*this, self, me);
  if (!taken) {
    release_and_arm unguard{this, &me, seen_by};
    self = wait::block(self, me, sched::wait_reason::semaphore_acquire,
                       {&release_and_arm::call, &unguard});
    seen_by->disarm();
    taken = me.how.load(std::memory_order_acquire) == wait::outcome::signalled;
    if (!taken) semaphore_internals::step_out(*this, self, me);
  }
  if (self != nullptr) sched::leave(self);
  if (scope->unlink(*seen_by)) seen_by->release();
  seen_by->release();
  return taken ? std::error_code() : ctx.err();
}

}  // namespace runnel
