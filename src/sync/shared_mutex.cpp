// runnel::shared_mutex: Go's sync.RWMutex, with readers that share nothing.
//
// Readers are counted in two places: in the upper bits of the word, and, while the lock is biased, in the seat of
// the reader's P, which only the owner of that P writes. The lock is free of readers when the sum over all is
// zero; a seat alone may be negative, since a reader may unlock on another P than it locked on.
//
//   writer        a writer has the lock, or alone may get it next: new readers stay out
//   draining      that writer (drainer_) is parked; the reader that brings the count in the word to 0 wakes it
//   biased        readers on Ps use seats
//   guard         held for some instructions, by whoever works on the lists, drainer_ or the bias
//   readers_wait, writers_wait   the list is not empty, or the holder of guard is about to fill it
//   woken         a writer is awake that will try to lock: no need to wake another. Only in the run in which it
//                 was set: the one who was woken may have been frozen with it
//   reads         (10 bits) reads counted in the word since the bias ended; when full, the bias begins
//
// Invariants
//   biased clear and guard free  =>  the seats add up to nothing and nobody writes to them
//   draining                     =>  writer; and biased clear, or every seat at zero
//   writer                       =>  no reader is added: not in the word, not in a seat, but for those an unlock() grants
//   a list is not empty          =>  its bit is set; and writer is, or woken, or somebody with guard is on his way
//
// A seat is written only between busy = 1 and busy = 0, after a look at the word in between:
//
//      reader locks           reader unlocks         writer                     who ends the bias (guard held)
//      busy := 1              busy := 1              set writer                 clear biased
//      fence                  light fence            fence                      heavy fence
//      biased, no writer?     biased?                wait for busy = 0          wait for busy = 0
//      locks += 1             unlocks += 1           sum = 0 ?                  move the sum into the word
//      busy := 0              busy := 0
//
// A reader that the writer overlooks sees the writer. An unlock may be overlooked for a while: then the sum is
// too high, and the writer looks again. After a while it ends the bias and parks: from then on unlocks go to
// the word, and the last one sees `draining`. So one locked instruction, on the P's own line, is what a reader
// pays, and a writer needs no membarrier unless readers stay long.
// With a single P not even that one is needed: readers and writers take turns on the P, and changing the number of
// Ps stops the world. A plain thread that writes uses the heavy fence.
// Without membarrier there is no bias.
//
// busy makes the last touch known as well: a writer that has seen every busy at 0, after it read the seat,
// knows that nobody is inside any more and may destroy the lock.
//
// Pairing: release of the word by unlock(), of a seat's unlocks and busy, with the acquire of the next owner.
// Rejected: readers without any fence (BRAVO with membarrier): ending the bias at each write costs ten microseconds
// where another CPU runs, the price of two thousand fences.

#include "runnel/sync/shared_mutex.h"

#include "base/backoff.h"
#include "base/check.h"
#include "platform/clock.h"
#include "sync/shared_mutex_seats.h"
#include "wait/waiter.h"

namespace runnel {

namespace {

constexpr std::int64_t starvation_ns = 1'000'000;
constexpr int spins_max = 10;
constexpr int pauses_per_spin = 5;
struct write_waiter : wait::waiter {
  using waiter::waiter;
  bool starved = false;
};

// Both kinds of owner are quick as a rule. With a single P it cannot help.
bool spin(const sched::m* self, int& spins) noexcept {
  if (spins >= spins_max || shared_mutex_seats::alone(self)) return false;
  ++spins;
  for (int i = 0; i < pauses_per_spin; ++i) base::hardware::pause();
  return true;
}

}  // namespace

struct shared_mutex_internals : shared_mutex_seats {
  // With writer set by us: until no reader is left.
  static sched::m* drain(shared_mutex& mu, sched::m* self) noexcept {
    bool fenced = false;
    int spins = 0;
    base::backoff backoff;
    for (;;) {
      word s = mu.state_.load(std::memory_order_acquire);
      view seen = view::taken;
      if ((s & shared_mutex::biased) != 0) {
        if (!fenced) fence_after_claim(self);
        fenced = true;
        seen = look(mu);
        if (seen == view::still) {
          judge_bias(mu, self);
          return self;
        }
      } else if (readers(s) == 0 && (s & shared_mutex::guard) == 0) {
        return self;
      }
      if (spin(self, spins) || !take_guard(mu, s, 0, 0, backoff)) continue;
      if ((s & shared_mutex::biased) != 0 && seen != view::empty) end_bias(mu, self);
      wait::waiter me(self);
      mu.drainer_ = &me;
      s = mu.state_.load(std::memory_order_relaxed);
      word next;
      do {
        next = readers(s) != 0 ? s | shared_mutex::draining : s & ~word{shared_mutex::guard};
      } while (!mu.state_.compare_exchange_weak(s, next, std::memory_order_acq_rel,
                                                std::memory_order_relaxed));
      if (readers(s) == 0) return self;
      return wait::block(self, me, sched::wait_reason::shared_mutex_lock, {&release_guard, &mu});
    }
  }

  // With guard, and writer to give up (`leaving` reader counts with it): lets in who waits, and wakes a writer.
  static void release_writer(shared_mutex& mu, sched::m* self, word leaving) noexcept {
    detail::wait_list granted;
    word joining = 0;
    while (wait::waiter* w = mu.readers_.pop_live()) {
      granted.push_back(*w);
      joining += shared_mutex::one_reader;
    }
    word s = mu.state_.load(std::memory_order_relaxed);
    bool somebody_awake = (s & shared_mutex::woken) != 0 &&
                          mu.woken_in_.load(std::memory_order_relaxed) == sched::current_epoch();
    wait::waiter* heir = somebody_awake ? nullptr : mu.writers_.pop_live();
    bool hand_over = heir != nullptr && static_cast<write_waiter*>(heir)->starved;
    if (hand_over) heir->handed = true;
    if (heir != nullptr && !hand_over) {
      mu.woken_in_.store(sched::current_epoch(), std::memory_order_relaxed);
    }
    word next;
    do {
      next = s & ~word{shared_mutex::guard | shared_mutex::draining | shared_mutex::readers_wait};
      if (mu.writers_.empty()) next &= ~word{shared_mutex::writers_wait};
      if (!hand_over) next &= ~word{shared_mutex::writer};
      if (!hand_over && heir != nullptr) next |= shared_mutex::woken;
      next += joining - leaving;
    } while (!mu.state_.compare_exchange_weak(s, next, std::memory_order_acq_rel,
                                              std::memory_order_relaxed));
    // The lock may be gone by now; those who wait are not. The writer last: it will run first.
    while (wait::waiter* w = granted.pop_live()) wait::wake(self, *w);
    if (heir != nullptr) wait::wake(self, *heir);
  }

  static void give_up_writer(shared_mutex& mu, sched::m* self) noexcept {
    base::backoff backoff;
    word s = mu.state_.load(std::memory_order_relaxed);
    for (;;) {
      if ((s & shared_mutex::writer) == 0 || (s & shared_mutex::draining) != 0) {
        base::fatal("sync: Unlock of unlocked RWMutex");
      }
      bool somebody_awake = (s & shared_mutex::woken) != 0 &&
                            mu.woken_in_.load(std::memory_order_relaxed) == sched::current_epoch();
      if ((s & shared_mutex::readers_wait) == 0 &&
          ((s & shared_mutex::writers_wait) == 0 || somebody_awake)) {
        if (mu.state_.compare_exchange_weak(s, s & ~word{shared_mutex::writer},
                                            std::memory_order_release, std::memory_order_relaxed)) {
          return;
        }
      } else if (take_guard(mu, s, 0, 0, backoff)) {
        release_writer(mu, self, 0);
        return;
      }
    }
  }

  // With guard: a writer of a run that is over will never come. True: it is gone, and so is the guard.
  static bool drop_frozen_drainer(shared_mutex& mu, sched::m* self, word s) noexcept {
    if ((s & shared_mutex::draining) == 0 || !mu.drainer_->frozen()) return false;
    release_writer(mu, self, 0);
    return true;
  }
  // For who would not wait: true, if it was so.
  static bool drop_frozen_drainer(shared_mutex& mu, sched::m* self) noexcept {
    base::backoff backoff;
    word s = mu.state_.load(std::memory_order_relaxed);
    while ((s & shared_mutex::draining) != 0) {
      if (!take_guard(mu, s, 0, 0, backoff)) continue;
      if (drop_frozen_drainer(mu, self, s)) return true;
      release_guard(&mu);
      return false;
    }
    return false;
  }

  // One attempt to become a reader. 1: done, 0: a writer is there, -1: again.
  static int try_read(shared_mutex& mu, sched::m* self, word& s) noexcept {
    if ((s & shared_mutex::writer) != 0) return 0;
    if ((s & shared_mutex::biased) != 0 && lock_in_seat(mu, self)) return 1;
    bool full = (s & shared_mutex::reads_mask) == shared_mutex::reads_mask;
    bool counts = (s & shared_mutex::biased) == 0 && !full;
    word next = s + shared_mutex::one_reader + (counts ? word{shared_mutex::one_read} : 0);
    if (!mu.state_.compare_exchange_weak(s, next, std::memory_order_acquire,
                                         std::memory_order_acquire)) {
      return -1;
    }
    if (full && self != nullptr) begin_bias(mu);
    return 1;
  }
};

using internals = shared_mutex_internals;

void shared_mutex::lock_slow() {
  sched::m* self = sched::enter();
  bool awake = false;  // we hold the woken bit
  int spins = 0;
  std::int64_t since = 0;
  base::backoff backoff;
  std::uint64_t s = state_.load(std::memory_order_relaxed);
  for (;;) {
    std::uint64_t mine = awake ? woken : std::uint64_t{0};
    if ((s & writer) == 0) {
      if (state_.compare_exchange_weak(s, (s | writer) & ~mine, std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
        break;
      }
      continue;
    }
    if ((s & (writers_wait | draining)) == 0 && spin(self, spins)) {
      s = state_.load(std::memory_order_relaxed);
      continue;
    }
    if (!internals::take_guard(*this, s, writers_wait, mine, backoff)) continue;
    awake = false;
    if (internals::drop_frozen_drainer(*this, self, s)) {
      s = state_.load(std::memory_order_relaxed);
      continue;
    }
    write_waiter me(self);
    std::int64_t now = platform::nanotime();
    if (since != 0) {
      me.starved = now - since > starvation_ns;
      writers_.push_front(me);
    } else {
      since = now;
      writers_.push_back(me);
    }
    self = wait::block(self, me, sched::wait_reason::shared_mutex_lock,
                       {&internals::release_guard, this});
    if (me.handed) break;
    awake = true;
    spins = 0;
    s = state_.load(std::memory_order_relaxed);
  }
  self = internals::drain(*this, self);
  if (self != nullptr) sched::leave(self);
}

bool shared_mutex::try_lock_slow() {
  sched::m* self = sched::enter();
  bool taken = false;
  internals::drop_frozen_drainer(*this, self);
  std::uint64_t s = state_.load(std::memory_order_acquire);
  // A guess first: a reader in a seat mostly shows without a claim that keeps others out.
  auto free_of_readers = [&] {
    std::int64_t inside = internals::readers(s);
    if ((s & biased) != 0) inside += internals::sum(*seats_.load(std::memory_order_relaxed));
    return inside == 0;
  };
  base::backoff backoff;
  while ((s & writer) == 0 && free_of_readers()) {
    if ((s & (biased | guard)) == guard) {
      backoff.wait();  // the bias may be ending, and readers on their way into the word
      s = state_.load(std::memory_order_acquire);
      continue;
    }
    if (!state_.compare_exchange_weak(s, s | writer, std::memory_order_acquire,
                                      std::memory_order_acquire)) {
      continue;
    }
    taken = true;
    if ((s & biased) != 0) {
      internals::fence_after_claim(self);
      taken = internals::look(*this) == internals::view::still;
      if (!taken) internals::give_up_writer(*this, self);
    }
    break;
  }
  if (self != nullptr) sched::leave(self);
  return taken;
}

void shared_mutex::unlock_slow() {
  sched::m* self = sched::enter();
  internals::give_up_writer(*this, self);
  if (self != nullptr) sched::leave(self);
}

void shared_mutex::lock_shared_slow() {
  sched::m* self = sched::enter();
  std::uint64_t s = state_.load(std::memory_order_acquire);
  if ((s & (biased | writer)) == biased && internals::lock_in_seat(*this, self)) [[likely]] {
    if (self != nullptr) sched::leave(self);
    return;
  }
  int spins = 0;
  base::backoff backoff;
  for (;;) {
    s = state_.load(std::memory_order_acquire);
    int done = internals::try_read(*this, self, s);
    if (done > 0) break;
    if (done < 0 || ((s & draining) == 0 && spin(self, spins))) continue;
    if (!internals::take_guard(*this, s, readers_wait, 0, backoff)) continue;
    if (internals::drop_frozen_drainer(*this, self, s)) continue;
    wait::waiter me(self);
    readers_.push_back(me);
    self = wait::block(self, me, sched::wait_reason::shared_mutex_lock_shared,
                       {&internals::release_guard, this});
    break;
  }
  if (self != nullptr) sched::leave(self);
}

bool shared_mutex::try_lock_shared_slow() {
  sched::m* self = sched::enter();
  internals::drop_frozen_drainer(*this, self);
  std::uint64_t s = state_.load(std::memory_order_acquire);
  int done;
  while ((done = internals::try_read(*this, self, s)) < 0) {
  }
  if (self != nullptr) sched::leave(self);
  return done > 0;
}

void shared_mutex::unlock_shared_slow() {
  sched::m* self = sched::enter();
  std::uint64_t s = state_.load(std::memory_order_acquire);
  if ((s & biased) != 0 && internals::unlock_in_seat(*this, self, false)) [[likely]] {
    if (self != nullptr) sched::leave(self);
    return;
  }
  base::backoff backoff;
  for (;;) {
    s = state_.load(std::memory_order_acquire);
    if (s < one_reader) {
      if ((s & biased) == 0) {
        if ((s & guard) == 0) base::fatal("sync: RUnlock of unlocked RWMutex");
        backoff.wait();  // the bias may be ending, and our count on its way into the word
        continue;
      }
      // Locked on another P. To tell that from misuse takes the end of the bias, unless it is plain.
      if (internals::sum(*seats_.load(std::memory_order_relaxed)) > 0 &&
          internals::unlock_in_seat(*this, self, true)) {
        break;
      }
      if (!internals::take_guard(*this, s, 0, 0, backoff)) continue;
      if ((s & biased) != 0) internals::end_bias(*this, self);
      internals::release_guard(this);
      continue;
    }
    bool last = (s & draining) != 0 && s < 2 * one_reader;
    if (!last) {
      if (state_.compare_exchange_weak(s, s - one_reader, std::memory_order_release,
                                       std::memory_order_relaxed)) {
        break;
      }
      continue;
    }
    if (!internals::take_guard(*this, s, 0, 0, backoff)) continue;
    // With the guard, draining, and our count the only one: the word stays as it is, but for bits of waiters.
    if (drainer_->frozen()) {
      internals::release_writer(*this, self, one_reader);
    } else {
      wait::waiter* heir = drainer_;
      state_.fetch_sub(one_reader + draining + guard, std::memory_order_acq_rel);
      wait::wake(self, *heir);
    }
    break;
  }
  if (self != nullptr) sched::leave(self);
}

void shared_mutex::free_seats() noexcept {
  internals::release_seats(seats_.load(std::memory_order_relaxed));
}

}  // namespace runnel
